//! How publishing is going, for screens and problems.

use std::fmt;

use dth_proto::time::Timestamp;

/// How publishing is going.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Where metrics go: `CloudWatch us-east-1 "DTH"`.
    pub target: String,
    /// End of the last round in which everything was taken.
    pub last_ok: Option<Timestamp>,
    /// Set while rounds fail.
    pub failing: Option<Failing>,
    /// Points that wait to be sent.
    pub buffered: usize,
}

/// Rounds fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since the first of them.
    pub since: Timestamp,
    /// What the last one said; may hold text of the service.
    pub error: String,
}

impl Health {
    /// Notes the end of a round.
    pub(super) fn round(&mut self, at: Timestamp, buffered: usize, error: Option<String>) {
        self.buffered = buffered;
        match error {
            None => {
                self.last_ok = Some(at);
                self.failing = None;
            }
            Some(error) => {
                let since = self.failing.take().map_or(at, |failing| failing.since);
                self.failing = Some(Failing { since, error });
            }
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, last_ok, failing, buffered } = self;
        match (failing, last_ok) {
            (Some(Failing { since, error }), _) => write!(f, "{target}, failing since {since}: {error}, queue {buffered}"),
            (None, Some(at)) => write!(f, "{target}, last put {at} ok, queue {buffered}"),
            (None, None) => write!(f, "{target}, nothing sent yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_dated_from_its_begin() {
        let mut health = Health { target: "CloudWatch us-east-1 \"DTH\"".to_owned(), ..Health::default() };
        assert_eq!(health.to_string(), "CloudWatch us-east-1 \"DTH\", nothing sent yet");
        health.round(Timestamp(0), 0, None);
        assert_eq!(health.to_string(), "CloudWatch us-east-1 \"DTH\", last put 1970-01-01T00:00:00.000Z ok, queue 0");
        health.round(Timestamp(60_000), 3, Some("no route".to_owned()));
        health.round(Timestamp(120_000), 6, Some("refused".to_owned()));
        assert_eq!(health.to_string(), "CloudWatch us-east-1 \"DTH\", failing since 1970-01-01T00:01:00.000Z: refused, queue 6");
        health.round(Timestamp(180_000), 0, None);
        assert_eq!((health.last_ok, health.failing), (Some(Timestamp(180_000)), None));
    }
}
