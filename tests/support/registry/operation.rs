//! What a registry can be asked for: the distribution API by names of its end points, ECR's API by its own.

use std::fmt;

macro_rules! operations {
    ($($name:ident)*) => {
        /// An operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the names are those of the end points and of the ECR API reference")]
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
    Ping GetToken ListRepositories ListTags ListReferrers
    HeadManifest GetManifest PutManifest DeleteManifest
    HeadBlob GetBlob DeleteBlob GetStoredBlob
    StartUpload MountBlob PatchBlob PutBlob UploadStatus CancelUpload
    GetAuthorizationToken DescribeRepositories CreateRepository ListImages DescribeImages BatchGetImage
    BatchCheckLayerAvailability InitiateLayerUpload UploadLayerPart CompleteLayerUpload
    GetRepositoryPolicy SetRepositoryPolicy GetLifecyclePolicy PutLifecyclePolicy ListTagsForResource
    GetAccountSetting PutAccountSetting
}

impl Operation {
    /// The operation of ECR's API with this name.
    #[must_use]
    pub(super) fn of_api(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.is_api() && operation.name() == name)
    }

    /// Whether it belongs to ECR's API.
    #[must_use]
    pub fn is_api(self) -> bool {
        self >= Self::GetAuthorizationToken
    }

    /// Whether it changes what the registry has.
    #[must_use]
    pub fn writes(self) -> bool {
        use Operation as O;
        matches!(
            self,
            O::PutManifest
                | O::DeleteManifest
                | O::DeleteBlob
                | O::StartUpload
                | O::MountBlob
                | O::PatchBlob
                | O::PutBlob
                | O::CancelUpload
                | O::CreateRepository
                | O::InitiateLayerUpload
                | O::UploadLayerPart
                | O::CompleteLayerUpload
                | O::SetRepositoryPolicy
                | O::PutLifecyclePolicy
                | O::PutAccountSetting
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
