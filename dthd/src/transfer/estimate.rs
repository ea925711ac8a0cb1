//! Requests that a copy would take, by kind: counted by runs that plan.

use std::collections::BTreeMap;

use dth_proto::{failure::Side, view::PlannedRequests};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A kind of request, as the documentation of S3 and of registries calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads an object, or a part of it.
    GetObject,
    /// Writes a whole object.
    PutObject,
    /// Begins an object in parts.
    CreateMultipartUpload,
    /// Writes a part.
    UploadPart,
    /// Ends an object in parts.
    CompleteMultipartUpload,
    /// Asks about an object.
    HeadObject,
    /// Lets the store copy a whole object.
    CopyObject,
    /// Lets the store copy a part.
    UploadPartCopy,
    /// Gets an object out of an archive.
    RestoreObject,
    /// Deletes as many objects as the store takes at once.
    DeleteObjects,
    /// Reads a manifest.
    GetManifest,
    /// Reads a blob.
    GetBlob,
    /// Takes a blob over from another repository of the destination.
    MountBlob,
    /// Begins and ends the upload of a blob: two requests.
    UploadBlob,
    /// Writes a manifest.
    PutManifest,
}

/// How stores bill a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// As a read (S3: GET, SELECT and all other).
    Read,
    /// As a write (S3: PUT, COPY, POST).
    Write,
    /// Not at all: registries bill bytes, and stores no deletes.
    Free,
    /// By tier, and by the bytes that it gets.
    Retrieval,
}

impl Operation {
    /// All of them. The place of one is its place in [`Requests`]; on disk they have their words.
    pub const ALL: [Self; 15] = [
        Self::GetObject,
        Self::PutObject,
        Self::CreateMultipartUpload,
        Self::UploadPart,
        Self::CompleteMultipartUpload,
        Self::HeadObject,
        Self::CopyObject,
        Self::UploadPartCopy,
        Self::RestoreObject,
        Self::DeleteObjects,
        Self::GetManifest,
        Self::GetBlob,
        Self::MountBlob,
        Self::UploadBlob,
        Self::PutManifest,
    ];

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::GetObject => "GetObject",
            Self::PutObject => "PutObject",
            Self::CreateMultipartUpload => "CreateMultipartUpload",
            Self::UploadPart => "UploadPart",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
            Self::HeadObject => "HeadObject",
            Self::CopyObject => "CopyObject",
            Self::UploadPartCopy => "UploadPartCopy",
            Self::RestoreObject => "RestoreObject",
            Self::DeleteObjects => "DeleteObjects",
            Self::GetManifest => "GetManifest",
            Self::GetBlob => "GetBlob",
            Self::MountBlob => "MountBlob",
            Self::UploadBlob => "UploadBlob",
            Self::PutManifest => "PutManifest",
        }
    }

    /// Where it goes.
    #[must_use]
    pub fn side(self) -> Side {
        match self {
            Self::GetObject | Self::HeadObject | Self::RestoreObject | Self::GetManifest | Self::GetBlob => Side::Source,
            _ => Side::Destination,
        }
    }

    /// How it is billed.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::GetObject | Self::HeadObject => Class::Read,
            Self::PutObject
            | Self::CreateMultipartUpload
            | Self::UploadPart
            | Self::CompleteMultipartUpload
            | Self::CopyObject
            | Self::UploadPartCopy => Class::Write,
            Self::RestoreObject => Class::Retrieval,
            _ => Class::Free,
        }
    }
}

/// Counts of requests by kind. Counting costs no allocation; as JSON it is a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests([u64; Operation::ALL.len()]);

impl Requests {
    /// Adds so many of a kind.
    pub fn count(&mut self, operation: Operation, times: u64) {
        self.0[operation as usize] += times;
    }

    /// Likewise.
    #[must_use]
    pub fn with(mut self, operation: Operation, times: u64) -> Self {
        self.count(operation, times);
        self
    }

    /// Adds all of `more`.
    pub fn add(&mut self, more: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(more.0) {
            *mine += theirs;
        }
    }

    /// How many there are of a class on a side.
    #[must_use]
    pub fn of(&self, class: Class, side: Side) -> u64 {
        self.counted().filter(|(operation, _)| operation.class() == class && operation.side() == side).map(|(_, count)| count).sum()
    }

    /// For clients: kinds that come at least once.
    #[must_use]
    pub fn view(&self) -> Vec<PlannedRequests> {
        self.counted().map(|(one, count)| PlannedRequests { side: one.side(), operation: one.word().to_owned(), count }).collect()
    }

    fn counted(&self) -> impl Iterator<Item = (Operation, u64)> {
        Operation::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

impl Serialize for Requests {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_map(self.counted().map(|(operation, count)| (operation.word(), count)))
    }
}

impl<'de> Deserialize<'de> for Requests {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let counts = BTreeMap::<String, u64>::deserialize(input)?;
        let mut requests = Self::default();
        // kinds of a newer version are not estimated here
        for operation in Operation::ALL {
            requests.count(operation, counts.get(operation.word()).copied().unwrap_or(0));
        }
        Ok(requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_place() {
        for (place, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, place, "{operation:?}");
        }
    }

    #[test]
    fn counts_survive_json() {
        let requests = Requests::default().with(Operation::GetObject, 3).with(Operation::UploadPart, 2).with(Operation::PutObject, 1);
        let text = serde_json::to_string(&requests).expect("JSON");
        assert_eq!(text, r#"{"GetObject":3,"PutObject":1,"UploadPart":2}"#);
        assert_eq!(serde_json::from_str::<Requests>(&text).expect("ours"), requests);
        assert_eq!(requests.of(Class::Write, Side::Destination), 3);
        assert_eq!(requests.of(Class::Read, Side::Source), 3);
    }
}
