//! Exit codes (sysexits.h), and which error ends with which.

use std::process::ExitCode;

use crate::{api::ListenError, config::ConfigError, daemon::DaemonError, lock::LockError, store::StoreError};

/// How dthd ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// As it should.
    Ok = 0,
    /// The command line is wrong.
    Usage = 64,
    /// Nobody answers on the socket.
    Unavailable = 69,
    /// A defect, or the system failed.
    Internal = 70,
    /// State or socket cannot be made.
    CannotCreate = 73,
    /// State or socket are in use; later it may work.
    InUse = 75,
    /// The user may not.
    NotAllowed = 77,
    /// The configuration, or the state's schema.
    Config = 78,
}

/// Nobody answers on the socket.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unavailable(pub(super) String);

impl Exit {
    /// The code for an error.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        if error.is::<ConfigError>() {
            return Self::Config;
        }
        if error.is::<Unavailable>() {
            return Self::Unavailable;
        }
        if let Some(error) = error.downcast_ref::<DaemonError>() {
            return match error {
                DaemonError::Lock(error) => Self::of_lock(error),
                DaemonError::Store(error) => Self::of_store(error),
                DaemonError::DiskFull { .. } => Self::CannotCreate,
                DaemonError::Listen(error) => Self::of_listen(error),
                DaemonError::Credential(_) => Self::Config,
            };
        }
        if let Some(error) = error.downcast_ref::<LockError>() {
            return Self::of_lock(error);
        }
        if let Some(error) = error.downcast_ref::<StoreError>() {
            return Self::of_store(error);
        }
        if let Some(error) = error.downcast_ref::<ListenError>() {
            return Self::of_listen(error);
        }
        Self::Internal
    }

    fn of_lock(error: &LockError) -> Self {
        match error {
            LockError::Held { .. } => Self::InUse,
            LockError::Create { .. } | LockError::Missing { .. } | LockError::Io { .. } => Self::CannotCreate,
            LockError::Denied { .. } => Self::NotAllowed,
        }
    }

    fn of_store(error: &StoreError) -> Self {
        match error {
            StoreError::Newer { .. } | StoreError::Unreadable { .. } => Self::Config,
            StoreError::Io(_) => Self::CannotCreate,
        }
    }

    fn of_listen(error: &ListenError) -> Self {
        match error {
            ListenError::InUse(_) => Self::InUse,
            ListenError::InTheWay(_) | ListenError::Io { .. } => Self::CannotCreate,
            ListenError::Denied { .. } => Self::NotAllowed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn errors_keep_their_code_under_context() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let dir = || "/s".into();
        for (error, exit) in [
            (anyhow!(ConfigError { problems: vec!["x".to_owned()] }), Exit::Config),
            (anyhow!(LockError::Held { dir: dir(), holder: None }), Exit::InUse),
            (anyhow!(LockError::Create { dir: dir(), source: denied() }), Exit::CannotCreate),
            (anyhow!(LockError::Denied { dir: dir(), source: denied() }), Exit::NotAllowed),
            (anyhow!(ListenError::InUse(dir())), Exit::InUse),
            (anyhow!(ListenError::Denied { path: dir(), source: denied() }), Exit::NotAllowed),
            (anyhow!(Unavailable("nobody".to_owned())), Exit::Unavailable),
            (anyhow!(denied()), Exit::Internal),
        ] {
            let wrapped = Err::<(), _>(error).context("while starting").expect_err("an error");
            assert_eq!(Exit::of(&wrapped), exit, "{wrapped:#}");
        }
    }
}
