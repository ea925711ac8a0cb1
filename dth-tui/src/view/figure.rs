//! Numbers as cells: three significant digits, and never wider than their column.

use dth_proto::{
    units,
    view::{Counters, TaskView},
};

use crate::model::Model;

/// Bytes or bits per second, as the user chose: at most 10 columns.
pub(super) fn rate(model: &Model, per_second: u64) -> String {
    if model.bits { units::bit_rate(per_second) } else { units::rate(per_second) }
}

/// [`rate`] in at most 7 columns, for narrow terminals: `612M/s`, `1.25G/s`.
pub(super) fn short_rate(per_second: u64) -> String {
    units::rate(per_second).replace(' ', "").replace("B/s", "/s")
}

/// `41.0%`; never 100 % before all is done, `-` when there is nothing to do.
pub(super) fn percent(done: u64, total: u64) -> String {
    if total == 0 {
        return "-".to_owned();
    }
    if done >= total {
        return "100%".to_owned();
    }
    let tenths = (done as f64 / total as f64 * 1_000.0).floor().min(999.0);
    format!("{:.1}%", tenths / 10.0)
}

/// A part of something in percent, in one digit behind the point.
pub(super) fn share(part: u64, of: u64) -> String {
    if of == 0 { "0.0%".to_owned() } else { format!("{:.1}%", (part as f64 / of as f64 * 100.0).min(100.0)) }
}

/// How much of a run is done: by bytes, or by items where there are no bytes.
pub(super) fn done(counters: &Counters) -> (u64, u64) {
    if counters.bytes_listed > 0 {
        (counters.bytes_done, counters.bytes_listed)
    } else {
        (counters.listed.saturating_sub(counters.pending), counters.listed)
    }
}

/// The DONE cell of a task; `~` while the listing is going and the total is a floor.
pub(super) fn task_done(task: &TaskView) -> String {
    let Some(run) = &task.run else {
        return "-".to_owned();
    };
    let (done, total) = done(&run.counters);
    match (run.listing_done, total) {
        (_, 0) => "-".to_owned(),
        (true, _) => percent(done, total),
        (false, _) => format!("~{}", percent(done, total)),
    }
}

/// Something per second that is not bytes: `2,140/s`.
pub(super) fn per_second(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return "-".to_owned();
    }
    if value > 0.0 && value < 10.0 { format!("{value:.1}/s") } else { format!("{}/s", units::count(value as u64)) }
}

/// Time left: `-` while it is not known.
pub(super) fn eta(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), units::eta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn done_is_not_claimed_early() {
        assert_eq!(percent(999_999, 1_000_000), "99.9%");
        assert_eq!(percent(u64::MAX - 1, u64::MAX), "99.9%");
        assert_eq!((percent(7, 7), percent(0, 0), percent(41, 100)), ("100%".to_owned(), "-".to_owned(), "41.0%".to_owned()));
        assert_eq!(short_rate(1_250_000_000), "1.25G/s");
        assert_eq!((per_second(f64::NAN), per_second(0.0), per_second(3.25)), ("-".to_owned(), "0/s".to_owned(), "3.2/s".to_owned()));
    }
}
