//! Repositories that the destination lacks.

use dth_proto::{
    failure::{FailureClass, Side},
    spec::CreateRepository,
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
                let message =
                    format!("there is no repository {:?}, and destination.create is \"never\": create it, or let dthd do it", pair.to);
                return Err(TransferError::new(FailureClass::Permanent, Side::Destination, "CreateRepository", "NAME_UNKNOWN", message));
            }
            CreateRepository::Yes => {}
        }
        let _turn = self.place.repository(&pair.to).await;
        if self.memory.has_created(&pair.to) {
            return Ok(());
        }
        let own = &self.target.repository;
        let settings = match &self.source.ecr {
            Some(source) if self.target.copy_settings => ecr.adopt(own, source.settings(&pair.from).await?),
            _ => own.clone(),
        };
        ecr.create(&pair.to, &settings).await?;
        self.memory.created(&pair.to);
        Ok(())
    }
}
