//! How values look in a column or a sentence.

use dth_proto::{
    time::Timestamp,
    units,
    view::{Counters, RunView, TaskView},
};

/// Stands where there is nothing to say.
const NOTHING: &str = "-";

/// To the second, UTC: `2026-12-01T02:00:00Z`.
pub(super) fn time(at: Timestamp) -> String {
    humantime::format_rfc3339_seconds(at.to_system()).to_string()
}

/// The value, or a dash.
pub(super) fn or_nothing(value: Option<String>) -> String {
    value.filter(|v| !v.is_empty()).unwrap_or_else(|| NOTHING.to_owned())
}

/// How much of a run is done: by bytes, by items when there are none; while it lists, no share is known.
pub(super) fn progress(run: &RunView) -> String {
    let c = &run.counters;
    if !run.listing_done {
        return if run.started.is_none() || run.outcome.is_some() { NOTHING.to_owned() } else { "listing".to_owned() };
    }
    let (done, all) = if c.bytes_listed > 0 { (c.bytes_done, c.bytes_listed) } else { (c.listed.saturating_sub(c.pending), c.listed) };
    // rounded down, and never 100 % while something is left
    match u128::from(done.min(all)) * 100 {
        _ if c.pending == 0 || all == 0 => "100%".to_owned(),
        share => format!("{}%", (share / u128::from(all)).min(99)),
    }
}

/// The rate of a task that is running.
pub(super) fn rate(task: &TaskView) -> Option<String> {
    task.live.as_ref().map(|live| units::rate(live.rate))
}

/// The time left of a task that is running.
pub(super) fn eta(task: &TaskView) -> Option<String> {
    task.live.as_ref().and_then(|live| live.eta_s).map(units::eta)
}

/// Seconds as a duration of two units; parts of a second count as nothing, and nonsense from a peer as zero.
pub(super) fn seconds(seconds: f64) -> String {
    // a cast saturates: NaN and negative numbers give 0
    units::coarse(seconds as u64)
}

/// How a run ended, or that it has not.
pub(super) fn outcome(run: &RunView) -> &'static str {
    match run.outcome {
        Some(outcome) => outcome.word(),
        None if run.started.is_none() => "queued",
        None => "going",
    }
}

/// The accounting identity: `9 listed = 1 same + 7 copied + 0 skipped + 1 failed + 0 pending`.
pub(super) fn accounting(c: &Counters) -> String {
    let parts = [(c.same, "same"), (c.copied, "copied"), (c.skipped, "skipped"), (c.failed, "failed"), (c.pending, "pending")];
    let mut parts: Vec<String> = parts.map(|(n, word)| format!("{} {word}", units::grouped(n))).into();
    if c.planned > 0 {
        parts.insert(2, format!("{} planned", units::grouped(c.planned)));
    }
    format!("{} listed = {}", units::grouped(c.listed), parts.join(" + "))
}

/// `1 item`, `2 items`.
pub(super) fn plural(count: u64, one: &str) -> String {
    format!("{} {one}{}", units::grouped(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use dth_proto::{
        id::TaskName,
        view::{RunKind, RunOutcome},
    };

    use super::*;

    fn run(counters: Counters, listing_done: bool, outcome: Option<RunOutcome>) -> RunView {
        RunView {
            task: TaskName::new("t").expect("good name"),
            run: 1,
            kind: RunKind::Copy,
            outcome,
            started: Some(Timestamp(0)),
            ended: None,
            duration_s: f64::NAN,
            counters,
            bytes_per_s: 0,
            listing_done,
            cause: String::new(),
            error: None,
        }
    }

    #[test]
    fn progress_never_claims_too_much() {
        let bytes = |done, all| Counters { listed: 2, copied: 1, pending: 1, bytes_done: done, bytes_listed: all, ..Counters::default() };
        let items = |pending| Counters { listed: 3, pending, ..Counters::default() };
        for (run, shown) in [
            (run(bytes(1, 3), true, None), "33%"),
            (run(bytes(999, 1_000), true, None), "99%"),
            (run(bytes(1_000, 1_000), true, None), "99%"),
            (run(bytes(u64::MAX, u64::MAX), true, None), "99%"),
            (run(items(1), true, None), "66%"),
            (run(items(0), true, Some(RunOutcome::Succeeded)), "100%"),
            (run(Counters::default(), true, Some(RunOutcome::Succeeded)), "100%"),
            (run(bytes(1, 3), false, None), "listing"),
            (run(bytes(1, 3), false, Some(RunOutcome::Failed)), "-"),
            (RunView { started: None, ..run(Counters::default(), false, None) }, "-"),
        ] {
            assert_eq!(progress(&run), shown, "{run:?}");
        }
    }

    #[test]
    fn durations_survive_nonsense() {
        for (value, shown) in [(0.0, "0s"), (61.9, "1m 01s"), (f64::NAN, "0s"), (-5.0, "0s")] {
            assert_eq!(seconds(value), shown);
        }
    }
}
