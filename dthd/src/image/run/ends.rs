//! Both ends of a run, and what works between them.

use std::sync::Arc;

use dth_proto::{failure::Side, spec::ImageJob};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::look::Look;
use crate::{
    image::{blob::Blobs, copy::Copier, end::End, memory::Memory, name::NameMap, platform::Platform, select::Selection},
    store::blob::BlobUploads,
    transfer::{account::Account, run::RunInput},
};

/// See the module.
pub(super) struct Ends {
    /// Lists and compares.
    pub(super) look: Look,
    /// Copies.
    pub(super) copier: Arc<Copier>,
}

impl Ends {
    /// Opens both ends. `stop`: cancelled when no blob may be begun any more.
    pub(super) async fn open(input: &RunInput, job: &ImageJob, account: &Account, stop: &CancellationToken) -> Result<Self, String> {
        let selection = Selection::new(&job.source, &job.options).map_err(|problems| problems.join("; "))?;
        let platforms: Result<Vec<Platform>, _> = job.options.platforms.iter().map(|text| text.parse()).collect();
        let platforms = platforms.map_err(|e| format!("options.platforms: {e}"))?;
        let counters = &input.progress.requests;
        let (source, destination) = tokio::join!(
            End::open(&job.source.registry, Side::Source, &input.resources, counters),
            End::open(&job.destination.registry, Side::Destination, &input.resources, counters),
        );
        let (source, destination) = (Arc::new(source.map_err(|e| e.to_string())?), Arc::new(destination.map_err(|e| e.to_string())?));
        let place = input.resources.images.place(destination.registry.host());
        let memory: Arc<Memory> = Arc::default();
        let blobs = Blobs {
            source: source.registry.clone(),
            destination: Arc::clone(&destination),
            place: Arc::clone(&place),
            memory: Arc::clone(&memory),
            budget: input.resources.budget.lane(),
            bandwidth: input.resources.bandwidth.narrower(input.record.spec.limits.bandwidth.clone()),
            journal: BlobUploads::of(&input.store, input.uid),
        };
        let look = Look {
            store: input.store.clone(),
            run: (input.uid, input.record.run),
            source: Arc::clone(&source),
            destination: Arc::clone(&destination),
            selection,
            names: NameMap::new(&job.destination),
            memory: Arc::clone(&memory),
            first_asked: OnceCell::new(),
            platforms: job.options.platforms.clone(),
            referrers: job.options.referrers,
            continued: input.record.remaining.is_some() || input.record.run > 1,
            recorded: account.is_continued(),
        };
        let copier = Copier {
            source,
            destination,
            target: job.destination.clone(),
            options: job.options.clone(),
            platforms,
            blobs,
            memory,
            place,
            stop: stop.clone(),
        };
        Ok(Self { look, copier: Arc::new(copier) })
    }
}
