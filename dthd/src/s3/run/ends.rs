//! Both ends of a run: buckets, what is known of their stores, and the copier between them.

use std::sync::Arc;

use dth_proto::{
    failure::Side,
    spec::{Encryption, PrefixList, S3Job, Store as StoreSpec, TaskSpec, Versions},
};

use super::archives::Archives;
use crate::{
    credential::{CredentialError, Credentials, CustomerKey},
    s3::{
        by_store::StoreCopies,
        client::Bucket,
        compare::CompareRules,
        copy::Copier,
        hedge::Hedge,
        metadata::SSE_C,
        provider::{self, ByteOrder},
        sorted::SortSettings,
        version::Versioning,
    },
    store::{Store, upload::Uploads},
    transfer::{progress::RequestCounters, resources::Resources, retry::RetryPolicy, run::RunInput},
};

/// See the module.
pub(super) struct Ends {
    pub(super) source: Bucket,
    pub(super) destination: Bucket,
    pub(super) source_order: ByteOrder,
    pub(super) destination_order: ByteOrder,
    pub(super) rules: CompareRules,
    pub(super) copier: Arc<Copier<Uploads>>,
    pub(super) archives: Arc<Archives>,
    pub(super) sort: SortSettings,
    /// Of `source.prefix_list`, where that is an object.
    pub(super) list: Option<Bucket>,
    places: [String; 2],
}

impl Ends {
    /// Opens both buckets; sends no request.
    pub(super) async fn open(input: &RunInput, job: &S3Job) -> Result<Self, String> {
        let counters = Arc::clone(&input.progress.requests);
        Self::new(&input.store, &input.resources, input.uid, job, &input.record.spec, (counters, input.record.kind.writes())).await
    }

    async fn new(
        store: &Store,
        resources: &Resources,
        uid: u64,
        job: &S3Job,
        spec: &TaskSpec,
        (counters, writes): (Arc<RequestCounters>, bool),
    ) -> Result<Self, String> {
        let open = async |end: &StoreSpec, side: Side, requester_pays: bool, encryption: Option<&Encryption>| {
            let profile = provider::find(&end.provider).map_err(|e| format!("{} provider: {e}", side.word()))?;
            let credential = resources.credential(end.credential.as_deref()).await.map_err(|e| format!("{}: {e}", side.word()))?;
            let (retry, windows) = (RetryPolicy::default(), Some(&resources.windows));
            let bucket = Bucket::open(end, side, &credential, requester_pays, retry, Arc::clone(&counters), windows).await;
            let key = customer_key(&resources.credentials(), encryption).await.map_err(|e| format!("{} encryption: {e}", side.word()))?;
            let bucket = bucket.and_then(|bucket| bucket.sealed(key));
            Ok::<_, String>((bucket.map_err(|e| format!("{}: {e}", side.word()))?, profile))
        };
        let (source, source_profile) =
            open(&job.source.store, Side::Source, job.source.requester_pays, job.source.encryption.as_ref()).await?;
        let (destination, destination_profile) =
            open(&job.destination.store, Side::Destination, false, job.destination.encryption.as_ref()).await?;
        let list = match job.source.prefix_list.as_deref().map(str::parse) {
            Some(Ok(PrefixList::Object { bucket, .. })) => {
                let store = StoreSpec { bucket, ..job.source.store.clone() };
                Some(open(&store, Side::Source, job.source.requester_pays, None).await?.0)
            }
            _ => None,
        };
        let places = [place(&source), place(&destination)];
        let order = |profile: &provider::Profile, place: &str| match store.meta::<bool>(place) {
            Ok(Some(true)) => ByteOrder::No,
            _ => profile.lists_in_byte_order,
        };
        let copier = Arc::new(Copier {
            source: source.clone(),
            destination: destination.clone(),
            target: job.destination.clone(),
            options: job.options.clone(),
            journal: Arc::new(Uploads::of(store, uid)),
            budget: resources.budget.lane(),
            bandwidth: resources.bandwidth.narrower(spec.limits.bandwidth.clone()),
            parts: resources.config().limits.parts as usize,
            hedge: Hedge::default(),
            by_store: StoreCopies::between(&source, &destination, &job.options),
        });
        let archives = Arc::new(Archives::new(uid, store, &source, &job.options, writes));
        Ok(Self {
            archives,
            source_order: order(source_profile, &places[0]),
            destination_order: order(destination_profile, &places[1]),
            rules: CompareRules::between(source_profile, destination_profile, job),
            sort: SortSettings::new(store.dir().join("sort")),
            list,
            source,
            destination,
            copier,
            places,
        })
    }

    /// Whether both ends keep the versions that the task is about.
    pub(super) async fn keep_versions(&self, job: &S3Job) -> Result<(), String> {
        if job.options.as_of.is_some() && self.source.versioning().await.map_err(|e| e.to_string())? == Versioning::Never {
            return Err(format!(
                "the source bucket {} keeps no versions, so that nobody knows how it was then: leave as_of out",
                self.source.name()
            ));
        }
        if job.options.versions == Versions::All {
            let why = match self.destination.versioning().await.map_err(|e| e.to_string())? {
                Versioning::Enabled => return Ok(()),
                Versioning::Suspended => "has its versioning suspended",
                Versioning::Never => "keeps no versions",
            };
            let name = self.destination.name();
            return Err(format!("the destination bucket {name} {why}: enable versioning on it, or set versions = \"latest\""));
        }
        Ok(())
    }

    /// From now on this side's listing is sorted; `false` when it already was.
    pub(super) fn sort(&mut self, side: Side) -> bool {
        let order = match side {
            Side::Source => &mut self.source_order,
            Side::Destination => &mut self.destination_order,
        };
        std::mem::replace(order, ByteOrder::No) != ByteOrder::No
    }

    /// The next run begins with this side sorted.
    pub(super) fn remember_order(&self, store: &Store, side: Side) {
        let place = match side {
            Side::Source => &self.places[0],
            Side::Destination => &self.places[1],
        };
        store.put_meta(place, &true);
    }

    pub(super) async fn abort_uploads(&self) -> Result<(), String> {
        self.copier.abort_all().await.map(drop).map_err(|e| e.to_string())
    }
}

/// The key of ours that the objects of an end are encrypted with.
///
/// # Errors
/// When the credential is none, or its file no use.
pub(in crate::s3) async fn customer_key(
    credentials: &Credentials,
    encryption: Option<&Encryption>,
) -> Result<Option<CustomerKey>, CredentialError> {
    match encryption.filter(|encryption| encryption.kind == SSE_C) {
        Some(sealed) => credentials.customer_key(sealed.key.as_deref().unwrap_or_default()).await.map(Some),
        None => Ok(None),
    }
}

/// Under which name a store's order is remembered.
fn place(bucket: &Bucket) -> String {
    format!("unordered {} {}", bucket.place(), bucket.name())
}

/// Aborts the uploads of a run that was ended without being continued.
///
/// # Errors
/// When a bucket cannot be opened or an upload not be aborted, in words.
pub async fn abort_uploads(store: &Store, resources: &Resources, uid: u64, spec: &TaskSpec, job: &S3Job) -> Result<(), String> {
    Ends::new(store, resources, uid, job, spec, (Arc::default(), true)).await?.abort_uploads().await
}
