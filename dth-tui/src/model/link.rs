//! The connection to the daemon as the user sees it.

use dth_proto::{handshake::Welcome, time::Timestamp};

/// Where the connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// The first attempt is going on.
    Connecting,
    /// Answers come.
    Up {
        /// What the handshake settled.
        welcome: Welcome,
        /// Round trip of the last answer without the time the daemon held it, in milliseconds.
        rtt_ms: Option<u64>,
    },
    /// No connection; what is known stays on the screen.
    Down {
        /// Since when.
        since: Timestamp,
        /// What went wrong last.
        error: String,
        /// When it is tried again.
        next_try: Timestamp,
        /// Attempts so far.
        tries: u32,
    },
}

impl Link {
    /// Answers come.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// There was a connection, or an attempt failed.
    #[must_use]
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }
}
