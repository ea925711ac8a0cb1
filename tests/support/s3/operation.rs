//! The operations of S3 that the server knows, by the names AWS gives them.

use std::fmt;

macro_rules! operations {
    ($($name:ident)*) => {
        /// An operation, named as in the S3 API reference.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the names are those of the S3 API reference")]
        pub enum Operation { $($name),* }

        impl Operation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

operations! {
    ListBuckets HeadBucket CreateBucket DeleteBucket GetBucketLocation
    ListObjectsV2 ListObjects ListObjectVersions ListMultipartUploads GetBucketVersioning PutBucketVersioning
    RestoreObject
    GetObject HeadObject PutObject CopyObject DeleteObject DeleteObjects
    GetObjectAcl GetObjectRetention GetObjectTagging PutObjectTagging DeleteObjectTagging
    CreateMultipartUpload UploadPart UploadPartCopy CompleteMultipartUpload AbortMultipartUpload ListParts
}

impl Operation {
    /// Whether it reads objects, or about them.
    pub(super) fn reads(self) -> bool {
        use Operation as O;
        matches!(
            self,
            O::ListObjects
                | O::ListObjectsV2
                | O::GetObject
                | O::HeadObject
                | O::GetObjectTagging
                | O::GetObjectRetention
                | O::CopyObject
                | O::UploadPartCopy
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
