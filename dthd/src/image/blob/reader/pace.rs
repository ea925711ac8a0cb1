//! How many connections a large blob is read over: one more time as many, as long as that brings more per second.

use std::time::Duration;

use tokio::time::Instant;

/// Connections to one blob.
pub(super) const MOST: usize = 4;
/// Long enough for a rate that means something.
const SPAN: Duration = Duration::from_millis(500);
/// Until new connections have come to their speed.
const WARM: Duration = Duration::from_millis(250);
/// Doubling the connections must bring so much more.
const GAIN: f64 = 1.25;
/// The source is what is waited for when the reader waits for it for so much of the time.
const WAITED: f64 = 0.5;

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    connections: usize,
    /// The rate with half of them.
    before: Option<f64>,
    settled: bool,
    /// Measuring begins.
    from: Instant,
    /// What there was when it began.
    base: Option<(u64, Duration)>,
}

impl Pace {
    /// One connection, measured from now on.
    pub(super) fn new(now: Instant) -> Self {
        Self { connections: 1, before: None, settled: false, from: now + WARM, base: None }
    }

    /// How many connections are wanted. `received`: bytes that have come over all of them; `waited`: how long the reader waited for them.
    pub(super) fn wanted(&mut self, now: Instant, received: u64, waited: Duration) -> usize {
        if self.settled || now < self.from {
            return self.connections;
        }
        let Some((bytes, idle)) = self.base else {
            (self.base, self.from) = (Some((received, waited)), now);
            return self.connections;
        };
        let span = now.saturating_duration_since(self.from);
        if span < SPAN {
            return self.connections;
        }
        let rate = received.saturating_sub(bytes) as f64 / span.as_secs_f64();
        let idle = waited.saturating_sub(idle).as_secs_f64() / span.as_secs_f64();
        if self.before.is_some_and(|before| rate < before * GAIN) {
            // the link, the source or the destination cannot do more
            (self.connections, self.settled) = (self.connections / 2, true);
        } else if idle >= WAITED && self.connections < MOST {
            (self.before, self.connections) = (Some(rate), self.connections * 2);
            (self.base, self.from) = (None, now + WARM);
        } else {
            // it may become slower later
            (self.before, self.base, self.from) = (None, Some((received, waited)), now);
        }
        self.connections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads for `seconds` from a source whose rate depends on the number of connections; how many there are at the end.
    fn read(seconds: u64, rate: impl Fn(usize) -> u64, waits: f64) -> usize {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        let (mut received, mut connections) = (0, 1);
        for step in 0..seconds * 100 {
            received += rate(connections) / 100;
            let now = begin + Duration::from_millis(10 * step);
            connections = pace.wanted(now, received, now.duration_since(begin).mul_f64(waits));
        }
        connections
    }

    #[tokio::test]
    async fn connections_are_added_where_each_brings_more() {
        type Rate = fn(usize) -> u64;
        let cases: [(&str, Rate, f64, usize); 4] = [
            ("each connection is slow", |n| n as u64 * 2_000_000, 0.95, MOST),
            ("the link is full", |_| 50_000_000, 0.95, 1),
            ("two fill it", |n| n.min(2) as u64 * 10_000_000, 0.95, 2),
            ("the destination is slower than the source", |n| n as u64 * 100_000_000, 0.2, 1),
        ];
        for (name, rate, waits, expected) in cases {
            assert_eq!(read(20, rate, waits), expected, "{name}");
        }
    }
}
