//! Uploads under way, so that another try, or another start of the daemon, goes on with them.

use dth_proto::failure::FailureClass;
use serde::{Deserialize, Serialize};

use super::{Blob, Blobs, is_wrong};
use crate::{
    image::{ecr::LayerUpload, registry::Upload},
    store::blob::BlobUploads,
    transfer::TransferError,
};

/// An upload under way, as the journal has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Journaled {
    pub(super) session: Session,
    /// Bytes that have arrived.
    pub(super) offset: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Session {
    Layer(LayerUpload),
    Chunks(Upload),
}

/// The journal's place for one blob.
pub(super) struct Entry<'a> {
    journal: &'a BlobUploads,
    name: String,
}

impl Blobs {
    pub(super) fn entry(&self, it: Blob<'_>) -> Entry<'_> {
        Entry { journal: &self.journal, name: format!("{}/{}@{}", self.destination.registry.host(), it.to, it.blob.digest) }
    }
}

impl Entry<'_> {
    pub(super) fn find(&self) -> Option<Journaled> {
        self.journal.find(&self.name)
    }

    /// Durable when this returns, if the disk takes it: without it the upload only costs more after a kill.
    pub(super) async fn note(&self, session: Session, offset: u64) {
        if let Err(error) = self.journal.put(&self.name, &Journaled { session, offset }).await {
            tracing::debug!("an upload is not journaled: {error}");
        }
    }

    /// What failed in a way that may pass goes on from here, also with another token; the rest begins again.
    pub(super) fn settle(&self, result: &Result<(), TransferError>) {
        match result {
            Err(error) if (error.is_retryable() || error.class == FailureClass::Auth) && !is_wrong(error) => {}
            _ => self.journal.remove(&self.name),
        }
    }
}
