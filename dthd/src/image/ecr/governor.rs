//! Requests per second to ECR, by account, region and API: quotas that all tasks together keep.

mod bucket;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use self::bucket::Bucket;
use crate::transfer::fair::{Gate, Lane};

/// What ECR has a quota for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Every `PUT /manifests/`, whatever its protocol.
    PutImage,
    /// A part of a layer.
    UploadLayerPart,
    /// The start of a layer, also `POST /blobs/uploads/`.
    InitiateLayerUpload,
    /// The end of a layer, also the `PUT` of a blob.
    CompleteLayerUpload,
    /// Which layers are there, also `HEAD /blobs/`.
    BatchCheckLayerAvailability,
    /// Manifests, also `GET` and `HEAD /manifests/`.
    BatchGetImage,
    /// Layers, also `GET /blobs/`.
    GetDownloadUrlForLayer,
    /// Tokens.
    GetAuthorizationToken,
    /// `ListImages`, `DescribeImages`, `DescribeRepositories`.
    List,
    /// Repositories and their settings, and everything else.
    Repository,
}

impl Api {
    /// The quota that counts a request of the registry's protocol (its operation in errors); `None`: none does.
    #[must_use]
    pub fn of_registry(operation: &str) -> Option<Self> {
        Some(match operation {
            "PutManifest" => Self::PutImage,
            "GetManifest" | "HeadManifest" => Self::BatchGetImage,
            "HeadBlob" => Self::BatchCheckLayerAvailability,
            "GetBlob" => Self::GetDownloadUrlForLayer,
            "StartUpload" | "MountBlob" => Self::InitiateLayerUpload,
            "PatchBlob" => Self::UploadLayerPart,
            "PutBlob" => Self::CompleteLayerUpload,
            "ListTags" | "ListRepositories" | "ListReferrers" => Self::List,
            _ => return None,
        })
    }

    const ALL: [Self; 10] = [
        Self::PutImage,
        Self::UploadLayerPart,
        Self::InitiateLayerUpload,
        Self::CompleteLayerUpload,
        Self::BatchCheckLayerAvailability,
        Self::BatchGetImage,
        Self::GetDownloadUrlForLayer,
        Self::GetAuthorizationToken,
        Self::List,
        Self::Repository,
    ];

    /// Requests per second that ECR allows an account in a region by default (AWS: "Amazon ECR service quotas"). For lists and repositories no
    /// quota is published: these are guesses, and learn like the others.
    #[must_use]
    pub fn quota(self) -> u32 {
        match self {
            Self::PutImage => 10,
            Self::Repository => 20,
            Self::InitiateLayerUpload | Self::CompleteLayerUpload | Self::List => 100,
            Self::UploadLayerPart | Self::GetAuthorizationToken => 500,
            Self::BatchCheckLayerAvailability => 1_000,
            Self::BatchGetImage => 2_000,
            Self::GetDownloadUrlForLayer => 3_000,
        }
    }

    /// The quota that counts an operation of ECR's API.
    #[must_use]
    pub fn of(operation: &str) -> Self {
        match operation {
            "PutImage" => Self::PutImage,
            "UploadLayerPart" => Self::UploadLayerPart,
            "InitiateLayerUpload" => Self::InitiateLayerUpload,
            "CompleteLayerUpload" => Self::CompleteLayerUpload,
            "BatchCheckLayerAvailability" => Self::BatchCheckLayerAvailability,
            "BatchGetImage" => Self::BatchGetImage,
            "GetDownloadUrlForLayer" => Self::GetDownloadUrlForLayer,
            "GetAuthorizationToken" => Self::GetAuthorizationToken,
            "ListImages" | "DescribeImages" | "DescribeRepositories" => Self::List,
            _ => Self::Repository,
        }
    }
}

/// The quotas of all accounts and regions. Clones share them.
#[derive(Clone, Default)]
pub struct Governors {
    meters: Arc<Mutex<Meters>>,
}

impl fmt::Debug for Governors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_map().entries(meters.iter().map(|(key, meter)| (key, meter.bucket().rate()))).finish()
    }
}

/// By place and API.
type Meters = HashMap<(String, Api), Arc<Meter>>;

/// One quota.
struct Meter {
    bucket: Mutex<Bucket>,
    /// Whoever is inside takes the next token.
    gate: Arc<Gate>,
    epoch: Instant,
}

impl Meter {
    fn new(api: Api) -> Self {
        let epoch = Instant::now();
        Self { bucket: Mutex::new(Bucket::new(api.quota(), epoch.elapsed())), gate: Gate::new(1), epoch }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Governors {
    /// The quotas of a place (account or endpoint, and region), with places in their queues of the handle's own: handles take turns, so that a
    /// task with a thousand images does not keep another from its first.
    #[must_use]
    pub fn at(&self, place: &str) -> Governor {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let lanes = Api::ALL.map(|api| {
            let meter = Arc::clone(meters.entry((place.to_owned(), api)).or_insert_with(|| Arc::new(Meter::new(api))));
            let lane = Lane::new(&meter.gate);
            (meter, lane)
        });
        Governor { lanes }
    }
}

/// See [`Governors::at`].
pub struct Governor {
    /// In the order of [`Api::ALL`].
    lanes: [(Arc<Meter>, Lane); Api::ALL.len()],
}

impl Governor {
    fn lane(&self, api: Api) -> &(Arc<Meter>, Lane) {
        &self.lanes[api as usize]
    }

    /// Waits until a request may be sent; first come, first served. Dropping the future gives up the place.
    pub async fn permit(&self, api: Api) {
        let (meter, lane) = self.lane(api);
        let _inside = lane.enter(1).await;
        loop {
            let taken = meter.bucket().take(meter.epoch.elapsed());
            let Err(wait) = taken else { return };
            tokio::time::sleep(wait).await;
        }
    }

    /// ECR answered a request with "less load".
    pub fn throttled(&self, api: Api) {
        let (meter, _) = self.lane(api);
        meter.bucket().refused(meter.epoch.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::join_all;

    use super::*;

    #[test]
    fn every_api_has_its_own_lane() {
        for (at, api) in Api::ALL.into_iter().enumerate() {
            assert_eq!(api as usize, at, "{api:?}");
        }
    }

    #[test]
    fn both_protocols_count_towards_the_same_quotas() {
        for (operation, same) in [
            ("PutManifest", "PutImage"),
            ("HeadManifest", "BatchGetImage"),
            ("StartUpload", "InitiateLayerUpload"),
            ("PutBlob", "CompleteLayerUpload"),
            ("ListTags", "ListImages"),
        ] {
            assert_eq!(Api::of_registry(operation), Some(Api::of(same)), "{operation}");
        }
        assert_eq!(Api::of_registry("GetToken"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_shared_and_others_are_not() {
        let governors = Governors::default();
        let (one, two) = (governors.at("1 us-east-1"), governors.clone().at("1 us-east-1"));
        let elsewhere = governors.at("1 eu-west-1");
        let start = Instant::now();
        elsewhere.permit(Api::PutImage).await;
        one.permit(Api::PutImage).await;
        one.permit(Api::UploadLayerPart).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        two.permit(Api::PutImage).await;
        assert_eq!(start.elapsed().as_millis(), 112, "one token of 9 a second");
    }

    #[tokio::test(start_paused = true)]
    async fn ten_images_a_second_are_not_exceeded_by_many_tasks() {
        let governors = Governors::default();
        let tasks: Vec<Governor> = (0..4).map(|_| governors.at("a")).collect();
        let start = Instant::now();
        let sent = join_all(tasks.iter().flat_map(|task| (0..25).map(move |_| task)).map(|task| async move {
            task.permit(Api::PutImage).await;
            start.elapsed()
        }))
        .await;
        for from in &sent {
            let within = sent.iter().filter(|at| *at >= from && **at < *from + Duration::from_secs(1)).count();
            assert!(within <= 10, "{within} within a second");
        }
        let last = sent.iter().max().expect("some");
        assert!((10.0..12.0).contains(&last.as_secs_f64()), "{last:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_task_does_not_wait_for_all_of_an_early_one() {
        let governors = Governors::default();
        let (early, late) = (governors.at("a"), governors.at("a"));
        let start = Instant::now();
        let many = join_all((0..100).map(|_| early.permit(Api::PutImage)));
        let one = async {
            late.permit(Api::PutImage).await;
            start.elapsed()
        };
        let (_, waited) = futures::join!(many, one);
        assert!(waited < Duration::from_millis(500), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_takes_nothing() {
        let governors = Governors::default();
        let governor = governors.at("a");
        governor.permit(Api::PutImage).await;
        let start = Instant::now();
        let brief = Duration::from_millis(50);
        assert!(tokio::time::timeout(brief, governor.permit(Api::PutImage)).await.is_err());
        governor.permit(Api::PutImage).await;
        assert_eq!(start.elapsed().as_millis(), 112);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_slows_all_tasks_down() {
        let governors = Governors::default();
        let (one, two) = (governors.at("a"), governors.at("a"));
        one.permit(Api::PutImage).await;
        one.throttled(Api::PutImage);
        let start = Instant::now();
        for _ in 0..10 {
            two.permit(Api::PutImage).await;
        }
        assert!(start.elapsed() > Duration::from_millis(1_500), "{:?}", start.elapsed());
    }
}
