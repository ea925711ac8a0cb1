//! How the events of a task are going.

use serde::{Deserialize, Serialize};

/// See the module. Counts are of messages, since the daemon started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsView {
    /// URL of the queue.
    pub queue: String,
    /// Age of the oldest event that is not applied, in seconds. While the queue cannot be read, at least so long as that lasts.
    pub lag_s: u64,
    /// Received, each once however often the queue gave it.
    pub received: u64,
    /// What they say is at the destination, or was left out or given up by name.
    pub applied: u64,
    /// Held and not yet applied.
    pub held: u64,
    /// Could not be read, or were not for the task.
    pub unknown: u64,
    /// Why the queue cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Lag below this is as good as none, in seconds.
const NONE: u64 = 5;
/// How exactly a short lag is told: a row should not change every second.
const STEP: u64 = 5;

impl EventsView {
    /// In a few words: `up to date`, `40s behind, 12 events wait`, `the queue cannot be used: …`.
    #[must_use]
    pub fn note(&self) -> String {
        if let Some(why) = &self.trouble {
            return format!("the event queue cannot be used: {why}");
        }
        match self.lag_s {
            0..NONE => "events: up to date".to_owned(),
            lag => {
                let lag = if lag < 60 { lag - lag % STEP } else { lag - lag % 60 };
                format!("events: {} behind", crate::units::coarse(lag))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_short() {
        let view = |lag_s, trouble: Option<&str>| EventsView { lag_s, trouble: trouble.map(str::to_owned), ..EventsView::default() };
        for (view, note) in [
            (view(0, None), "events: up to date"),
            (view(4, None), "events: up to date"),
            (view(43, None), "events: 40s behind"),
            (view(150, None), "events: 2m 00s behind"),
            (view(9, Some("no route")), "the event queue cannot be used: no route"),
        ] {
            assert_eq!(view.note(), note);
        }
    }
}
