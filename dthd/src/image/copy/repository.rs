//! Repositories that the destination lacks.

use dth_proto::{
    failure::{FailureClass, Side},
    spec::{CreateRepository, RepositorySettings},
};

use super::{Copier, Pair};
use crate::transfer::TransferError;

impl Copier {
    /// Creates the destination's repository, once per run, if the task wants that and the registry does not do it by itself.
    pub(super) async fn create(&self, pair: &Pair) -> Result<(), TransferError> {
        let Some(ecr) = &self.destination.ecr else { return Ok(()) };
        match self.target.create {
            CreateRepository::OnPush => return Ok(()),
            CreateRepository::Never => {
                let message = format!("there is no repository {:?}, and destination.create is \"never\": create it, or let dthd do it", pair.to);
                return Err(TransferError::new(FailureClass::Permanent, Side::Destination, "CreateRepository", "NAME_UNKNOWN", message));
            }
            CreateRepository::Yes => {}
        }
        let _turn = self.place.repository(&pair.to).await;
        if self.memory.has_created(&pair.to) {
            return Ok(());
        }
        let source = match &self.source.ecr {
            Some(source) if self.target.copy_settings => Some(source.settings(&pair.from).await?),
            _ => None,
        };
        ecr.create(&pair.to, &settled(&self.target.repository, source)).await?;
        self.memory.created(&pair.to);
        Ok(())
    }
}

/// The task's settings, and the source's where it says nothing.
fn settled(task: &RepositorySettings, source: Option<RepositorySettings>) -> RepositorySettings {
    let source = source.unwrap_or_default();
    let mut tags = source.tags;
    tags.extend(task.tags.clone());
    RepositorySettings {
        immutable_tags: task.immutable_tags.or(source.immutable_tags),
        scan_on_push: task.scan_on_push.or(source.scan_on_push),
        encryption: task.encryption.clone().or(source.encryption),
        lifecycle_policy: task.lifecycle_policy.clone().or(source.lifecycle_policy),
        policy: task.policy.clone().or(source.policy),
        tags,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_goes_before_the_source() {
        let tags = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let task = RepositorySettings { immutable_tags: Some(false), tags: tags(&[("team", "a")]), ..RepositorySettings::default() };
        let source = RepositorySettings {
            immutable_tags: Some(true),
            scan_on_push: Some(true),
            lifecycle_policy: Some("{}".to_owned()),
            tags: tags(&[("team", "b"), ("cost", "1")]),
            ..RepositorySettings::default()
        };
        let both = settled(&task, Some(source));
        assert_eq!((both.immutable_tags, both.scan_on_push, both.lifecycle_policy.as_deref()), (Some(false), Some(true), Some("{}")));
        assert_eq!(both.tags, tags(&[("cost", "1"), ("team", "a")]));
        assert_eq!(settled(&task, None), task);
    }
}
