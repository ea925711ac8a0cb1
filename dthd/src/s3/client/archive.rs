//! Archives: whether an object can be read now, and asking for its restoration.

use aws_sdk_s3::types::{GlacierJobParameters, RestoreRequest, Tier};
use dth_proto::spec::RestoreTier;

use super::{Bucket, read::info};
use crate::{
    s3::{
        archive::{self, State, Told},
        metadata::ObjectInfo,
        object::Pin,
    },
    transfer::TransferError,
};

const RESTORE: &str = "RestoreObject";

impl Bucket {
    /// What the store says about an object, and whether it can be read. `class`: as it was listed.
    ///
    /// # Errors
    /// As [`Bucket::head`].
    pub async fn archive(&self, key: &str, pin: Pin<'_>, class: &str) -> Result<(ObjectInfo, State), TransferError> {
        let output = self.head_output(key, pin, None).await?;
        let told = Told {
            class: output.storage_class().map_or(class, |class| class.as_str()),
            restore: output.restore(),
            archive_status: output.archive_status().map(aws_sdk_s3::types::ArchiveStatus::as_str),
        };
        Ok((info(&output), told.state(self.inner.profile)))
    }

    /// Asks for the restoration of an object for so many days; `None` where it is for good (AWS: of the class INTELLIGENT_TIERING). Answers
    /// with the tier in which it is restored: where an expedited one cannot be had at the moment, the standard one.
    ///
    /// # Errors
    /// As classified; an object that is being restored already is no error.
    pub async fn restore(
        &self,
        key: &str,
        version: Option<&str>,
        tier: RestoreTier,
        days: Option<u32>,
    ) -> Result<RestoreTier, TransferError> {
        match self.ask_for_restore(key, version, tier, days).await {
            Err(error) if tier == RestoreTier::Expedited && is_no_expedited(&error) => {
                self.ask_for_restore(key, version, RestoreTier::Standard, days).await.map(|()| RestoreTier::Standard)
            }
            result => result.map(|()| tier),
        }
    }

    async fn ask_for_restore(&self, key: &str, version: Option<&str>, tier: RestoreTier, days: Option<u32>) -> Result<(), TransferError> {
        let word = match tier {
            RestoreTier::Expedited => Tier::Expedited,
            RestoreTier::Standard => Tier::Standard,
            RestoreTier::Bulk => Tier::Bulk,
        };
        let asked = self.call(RESTORE, 0, || async {
            let job = GlacierJobParameters::builder().tier(word.clone()).build();
            // without a tier it is the request of no store
            let job = job.map_err(|e| self.error(dth_proto::failure::FailureClass::Permanent, RESTORE, "BadRequest", e.to_string()))?;
            let days = days.and_then(|days| i32::try_from(days).ok());
            let request = RestoreRequest::builder().set_days(days).glacier_job_parameters(job).build();
            self.sdk()
                .restore_object()
                .bucket(&self.inner.name)
                .key(key)
                .set_version_id(version.map(str::to_owned))
                .set_request_payer(self.payer())
                .restore_request(request)
                .send()
                .await
                .map(drop)
                .map_err(|e| self.failed(RESTORE, &e))
        });
        match asked.await {
            // AWS: 409, an earlier request is being worked on
            Err(error) if error.code == "RestoreAlreadyInProgress" => Ok(()),
            result => result,
        }
    }

    /// Days for an object that was listed in a class.
    #[must_use]
    pub fn restore_days(class: &str, days: Option<u32>) -> Option<u32> {
        (class != archive::INTELLIGENT).then(|| days.unwrap_or(archive::DAYS))
    }
}

/// There is no capacity for an expedited restoration now (AWS: 503), or never of this object.
fn is_no_expedited(error: &TransferError) -> bool {
    matches!(error.code.as_str(), "GlacierExpeditedRetrievalNotAvailable" | "InvalidTier" | "InvalidRetrievalOption")
}
