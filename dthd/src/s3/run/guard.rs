//! How much one run may delete.

use dth_proto::{id::TaskName, spec::S3Options, units::grouped};

/// A run would delete more than its guards allow, so it deletes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} of {} objects at the destination would be deleted, more than {guard}: nothing was. See them: dth items {task} --outcome planned; \
     then raise it and start again", grouped(*.to_delete), grouped(*.there)
)]
pub(super) struct TooMany {
    to_delete: u64,
    there: u64,
    guard: String,
    task: TaskName,
}

/// Whether a run may delete `to_delete` of the `there` objects that the destination has under what the task selects.
pub(super) fn guard(task: &TaskName, options: &S3Options, to_delete: u64, there: u64) -> Result<(), TooMany> {
    let most = options.max_deletes.unwrap_or(S3Options::MAX_DELETES);
    let percent = options.max_delete_percent.unwrap_or(S3Options::MAX_DELETE_PERCENT);
    let guard = match () {
        () if to_delete > most => format!("max_deletes = {most}"),
        // in whole numbers: 10 of 100 are 10 percent, 11 are more
        () if u128::from(to_delete) * 100 > u128::from(there) * u128::from(percent) => format!("max_delete_percent = {percent}"),
        () => return Ok(()),
    };
    Err(TooMany { to_delete, there, guard, task: task.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_guards_have_their_edge() {
        let task = TaskName::new("mirror").expect("a name");
        let none = S3Options::default;
        for (options, to_delete, there, broken) in [
            (none(), 0, 0, None),
            (none(), 10, 100, None),
            (none(), 11, 100, Some("max_delete_percent = 10")),
            (none(), 1_000, 1_000_000, None),
            (none(), 1_001, 1_000_000, Some("max_deletes = 1000")),
            (none(), 1, 0, Some("max_delete_percent = 10")),
            (S3Options { max_delete_percent: Some(100), ..none() }, 1_000, 1_000, None),
            (S3Options { max_delete_percent: Some(100), ..none() }, 1_001, 1_001, Some("max_deletes = 1000")),
            (S3Options { max_deletes: Some(5), ..none() }, 6, 1_000, Some("max_deletes = 5")),
            (S3Options { max_deletes: Some(u64::MAX), max_delete_percent: Some(100), ..none() }, u64::MAX, u64::MAX, None),
        ] {
            let error = guard(&task, &options, to_delete, there).err().map(|e| e.guard);
            assert_eq!(error.as_deref(), broken, "{to_delete} of {there}");
        }
        let text = guard(&task, &none(), 1_200, 5_000).expect_err("too many").to_string();
        assert_eq!(
            text,
            "1,200 of 5,000 objects at the destination would be deleted, more than max_deletes = 1000: nothing was. See them: dth items mirror \
             --outcome planned; then raise it and start again"
        );
    }
}
