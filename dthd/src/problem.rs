//! From facts to a verdict: what the operator must know now, in words, most severe first.

use std::time::Duration;

use dth_proto::{
    failure::FailureGroup,
    id::TaskName,
    time::Timestamp,
    units::{coarse, grouped},
    view::{Problem, RunOutcome, Severity},
};

use crate::metrics::cloudwatch;

/// A trigger whose time passed this long ago without a run.
const OVERDUE: Duration = Duration::from_secs(120);
/// A running run without a checkpoint for this long.
const CHECKPOINT: Duration = Duration::from_secs(120);
/// A credential that ends within this time and cannot be renewed.
const EXPIRY: Duration = Duration::from_secs(3600);
/// Metrics that fail for less than this may be a single lost request.
const METRICS: Duration = Duration::from_secs(180);
/// An event queue that fails for less than this may be a single lost request.
const QUEUE: Duration = Duration::from_secs(5);
/// Free share of the state's disk below which there is a warning.
pub const DISK_LOW: f64 = 0.10;
/// Free share of the state's disk below which state is in danger.
const DISK_CRITICAL: f64 = 0.02;
/// Longest text of a problem, in characters.
const LONGEST: usize = 200;

/// Everything the verdict is made from.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The time of the verdict.
    pub now: Timestamp,
    /// Every task.
    pub tasks: Vec<TaskFacts>,
    /// Temporary credentials in use.
    pub credentials: Vec<CredentialFacts>,
    /// How publishing is going; `None`: off.
    pub metrics: Option<cloudwatch::Health>,
    /// No new work is accepted, because the state cannot be written or soon could not be: since when, and why.
    pub refusing: Option<(Timestamp, String)>,
    /// Free share of the disk that holds the state, 0 to 1, and since when it is below [`DISK_LOW`]; `None`: enough, or unknown.
    pub disk_free: Option<(Timestamp, f64)>,
    /// The last reload was refused: when, and why.
    pub reload_error: Option<(Timestamp, String)>,
    /// The last request that was sent again.
    pub last_retry: Option<Timestamp>,
}

/// One task, as far as it matters here.
#[derive(Clone, Debug)]
pub struct TaskFacts {
    /// Its name.
    pub task: TaskName,
    /// What it calls its items: `objects`, `images`.
    pub items: &'static str,
    /// What it is doing.
    pub activity: Activity,
    /// Items of the current or last run that failed.
    pub failed: u64,
    /// The most frequent failure of that run.
    pub top_failure: Option<FailureGroup>,
    /// Since when its event queue cannot be used, and why.
    pub event_trouble: Option<(Timestamp, String)>,
    /// Its events go on though the full compare that backs them up has failed: when, and why.
    pub compare_failed: Option<(Timestamp, String)>,
    /// The time the trigger asked for, when no run has begun since.
    pub due: Option<Timestamp>,
}

/// What a task is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// A run is going.
    Running {
        /// Since when.
        started: Timestamp,
        /// Seconds without a byte or a finished item, once they are 60 or more.
        stalled_s: Option<u64>,
        /// The last time progress was made durable.
        checkpoint: Option<Timestamp>,
    },
    /// A run waits for a free slot.
    Queued,
    /// A person paused the run.
    Paused,
    /// No run, and the trigger will start one, or nobody.
    Idle {
        /// The trigger will start one.
        waiting: bool,
        /// How the last run ended; `None`: there was none.
        last: Option<LastRun>,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// The outcome.
    pub outcome: RunOutcome,
    /// When.
    pub ended: Timestamp,
    /// Why it is `failed`, or `incomplete` for another reason than failed items.
    pub error: Option<String>,
}

/// A temporary credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFacts {
    /// Its name in dthd.toml.
    pub name: String,
    /// When it ends.
    pub expires: Timestamp,
    /// How often in a row it could not be renewed; one that renews itself in time is no problem.
    pub refresh_failed: u32,
    /// The first of those failures.
    pub failing_since: Timestamp,
}

/// The problems, most severe and then oldest first, and the verdict in one line.
#[must_use]
pub fn judge(facts: &Facts) -> (Vec<Problem>, String) {
    let mut found = Vec::new();
    daemon(facts, &mut found);
    for task in &facts.tasks {
        of_task(task, facts.now, &mut found);
    }
    found.sort_by(|a, b| (a.severity, a.since, &a.task).cmp(&(b.severity, b.since, &b.task)));
    let verdict = match found.as_slice() {
        [] => all_well(facts),
        [only] => only.text.clone(),
        [worst, ..] => format!("{} problems. {}", found.len(), worst.text),
    };
    (found, verdict)
}

fn problem(severity: Severity, since: Timestamp, task: Option<&TaskName>, text: &str) -> Problem {
    Problem { severity, text: one_line(text), since, task: task.cloned() }
}

fn daemon(facts: &Facts, found: &mut Vec<Problem>) {
    let now = facts.now;
    let mut add = |severity, since, text: String| found.push(problem(severity, since, None, &text));
    if let Some((since, why)) = &facts.refusing {
        add(Severity::Critical, *since, why.clone());
    } else if let Some((since, free)) = facts.disk_free {
        let severity = if free < DISK_CRITICAL { Severity::Critical } else { Severity::Warning };
        add(severity, since, format!("disk of the state directory is {:.0}% full", ((1.0 - free) * 100.0).floor()));
    }
    for CredentialFacts { name, expires, refresh_failed, failing_since } in &facts.credentials {
        if *refresh_failed == 0 || expires.since(now) >= EXPIRY {
            continue;
        }
        let times = if *refresh_failed == 1 { "once".to_owned() } else { format!("{refresh_failed} times") };
        if *expires <= now {
            let text = format!("credentials {name:?} expired {} ago; refresh failed {times}", coarse(now.since(*expires).as_secs()));
            add(Severity::Critical, *failing_since, text);
        } else {
            let minutes = expires.since(now).as_secs() / 60;
            add(Severity::Warning, *failing_since, format!("credentials {name:?} expire in {minutes} min; refresh failed {times}"));
        }
    }
    if let Some((since, error)) = &facts.reload_error {
        add(Severity::Error, *since, format!("configuration was not reloaded, the old one is in use: {error}"));
    }
    let failing = facts.metrics.as_ref().and_then(|health| Some((health, health.failing.as_ref()?)));
    if let Some((health, failing)) = failing.filter(|(_, failing)| now.since(failing.since) >= METRICS) {
        let text = format!("metrics are not published, {} points wait: {}", grouped(health.buffered as u64), failing.error);
        add(Severity::Warning, failing.since, text);
    }
}

fn of_task(facts: &TaskFacts, now: Timestamp, found: &mut Vec<Problem>) {
    let TaskFacts { task, items, activity, failed, top_failure, event_trouble, compare_failed, due } = facts;
    let mut add = |severity, since, text: String| found.push(problem(severity, since, Some(task), &format!("{task}: {text}")));
    if let Some((since, why)) = event_trouble.as_ref().filter(|(since, _)| now.since(*since) >= QUEUE) {
        add(Severity::Error, *since, format!("the event queue cannot be used, what happens at the source waits there: {why}"));
    }
    if let Some((ended, why)) = compare_failed {
        add(Severity::Error, *ended, format!("the full compare behind the events failed: {why}"));
    }
    let begin = top_failure.as_ref().map(|group| group.first);
    match activity {
        Activity::Running { started, stalled_s, checkpoint } => {
            if let Some(quiet) = stalled_s {
                // to ten seconds, so that it does not move with every look
                let since = Timestamp(now.0.saturating_sub(quiet.saturating_mul(1_000)) / 10_000 * 10_000);
                let quiet = if *quiet < 600 { format!("{quiet} s") } else { coarse(*quiet) };
                add(Severity::Critical, since, format!("no bytes for {quiet}"));
            }
            if *failed > 0 {
                add(Severity::Error, begin.unwrap_or(*started), failures(*failed, items, top_failure.as_ref()));
            }
            let saved = checkpoint.unwrap_or(*started);
            if now.since(saved) >= CHECKPOINT {
                add(Severity::Warning, saved, format!("no checkpoint for {}", coarse(now.since(saved).as_secs())));
            }
        }
        Activity::Paused if *failed > 0 => {
            add(Severity::Error, begin.unwrap_or(now), failures(*failed, items, top_failure.as_ref()));
        }
        Activity::Idle { last: Some(LastRun { outcome: RunOutcome::Failed, ended, error }), .. } => {
            add(Severity::Error, *ended, format!("last run failed: {}", error.as_deref().unwrap_or("no reason was recorded")));
        }
        Activity::Idle { last: Some(LastRun { outcome: RunOutcome::Incomplete, ended, error }), .. } => {
            let why = error.clone().unwrap_or_else(|| failures(*failed, items, top_failure.as_ref()));
            add(Severity::Error, *ended, format!("last run incomplete: {why}"));
        }
        Activity::Paused | Activity::Queued | Activity::Idle { .. } => {}
    }
    // a run that is going or queued answers the trigger, and a pause is a person's decision
    if let (Activity::Idle { .. }, Some(due)) = (activity, due.filter(|due| now.since(*due) >= OVERDUE)) {
        add(Severity::Error, due, format!("next run is {} overdue", coarse(now.since(due).as_secs())));
    }
}

/// `1,204 objects failed, AccessDenied on GetObject`.
fn failures(count: u64, items: &str, top: Option<&FailureGroup>) -> String {
    let items = if count == 1 { items.trim_end_matches('s') } else { items };
    let failed = format!("{} {items} failed", grouped(count));
    match top {
        None => failed,
        Some(group) if group.count < count => format!("{failed}, most with {} on {}", group.code, group.operation),
        Some(group) => format!("{failed}, {} on {}", group.code, group.operation),
    }
}

/// `All 4 running transfers are moving. No failed objects. Last retry 40s ago.`
fn all_well(facts: &Facts) -> String {
    let count = |is: fn(&Activity) -> bool| facts.tasks.iter().filter(|task| is(&task.activity)).count();
    let running = count(|a| matches!(a, Activity::Running { .. }));
    let mut verdict = match running {
        0 => idle(
            count(|a| *a == Activity::Queued),
            count(|a| matches!(a, Activity::Idle { waiting: true, .. })),
            count(|a| *a == Activity::Paused),
        ),
        1 => "The running transfer is moving.".to_owned(),
        n => format!("All {n} running transfers are moving."),
    };
    if let Some(first) = facts.tasks.first() {
        let alike = facts.tasks.iter().all(|task| task.items == first.items);
        verdict.push_str(&format!(" No failed {}.", if alike { first.items } else { "items" }));
    }
    if let Some(retry) = facts.last_retry.filter(|_| running > 0) {
        verdict.push_str(&format!(" Last retry {} ago.", coarse(facts.now.since(retry).as_secs())));
    }
    verdict
}

fn idle(queued: usize, waiting: usize, paused: usize) -> String {
    let parts: Vec<String> = [(queued, "queued"), (waiting, "waiting for their time"), (paused, "paused")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
    if parts.is_empty() { "No transfer is running.".to_owned() } else { format!("No transfer is running; {}.", parts.join(", ")) }
}

/// Errors may quote a store's answer or a key: controls and direction marks become blanks, and it stays one short line.
fn one_line(text: &str) -> String {
    let harmless = |c: char| {
        if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { ' ' } else { c }
    };
    let mut line: String = text.chars().map(harmless).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.pop();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use dth_proto::failure::{FailureClass, Side};

    use super::*;

    const NOW: u64 = 1_796_090_400_000;

    fn ago(seconds: u64) -> Timestamp {
        Timestamp(NOW - seconds * 1_000)
    }

    fn name(text: &str) -> TaskName {
        TaskName::new(text).expect(text)
    }

    fn group(code: &str, count: u64) -> FailureGroup {
        FailureGroup {
            class: FailureClass::Auth,
            code: code.to_owned(),
            side: Side::Source,
            operation: "GetObject".to_owned(),
            count,
            first: ago(1_260),
            last: ago(5),
            prefix: String::new(),
            message: String::new(),
            hint: None,
        }
    }

    fn task(text: &str, activity: Activity) -> TaskFacts {
        TaskFacts {
            task: name(text),
            items: "objects",
            activity,
            failed: 0,
            top_failure: None,
            event_trouble: None,
            compare_failed: None,
            due: None,
        }
    }

    fn moving() -> Activity {
        Activity::Running { started: ago(9_000), stalled_s: None, checkpoint: Some(ago(10)) }
    }

    fn ended(outcome: RunOutcome, error: Option<&str>) -> Activity {
        Activity::Idle { waiting: false, last: Some(LastRun { outcome, ended: ago(600), error: error.map(str::to_owned) }) }
    }

    fn facts(tasks: Vec<TaskFacts>) -> Facts {
        Facts { now: Timestamp(NOW), tasks, ..Facts::default() }
    }

    #[test]
    fn events_have_problems_of_their_own() {
        let of = |event_trouble, compare_failed| facts(vec![TaskFacts { event_trouble, compare_failed, ..task("a", moving()) }]);
        let texts = |facts: &Facts| judge(facts).0.into_iter().map(|problem| problem.text).collect::<Vec<_>>();
        assert_eq!(texts(&of(Some((ago(4), "no route".to_owned())), None)), Vec::<String>::new());
        assert_eq!(
            texts(&of(Some((ago(20), "no route".to_owned())), Some((ago(90), "denied".to_owned())))),
            [
                "a: the full compare behind the events failed: denied",
                "a: the event queue cannot be used, what happens at the source waits there: no route",
            ]
        );
    }

    #[test]
    fn all_is_well() {
        let waiting = Activity::Idle { waiting: true, last: None };
        for (tasks, verdict) in [
            (vec![], "No transfer is running."),
            (vec![task("a", moving())], "The running transfer is moving. No failed objects."),
            (vec![task("a", moving()); 4], "All 4 running transfers are moving. No failed objects."),
            (vec![task("a", moving()), task("b", Activity::Paused)], "The running transfer is moving. No failed objects."),
            (
                vec![task("a", waiting), task("b", Activity::Paused)],
                "No transfer is running; 1 waiting for their time, 1 paused. No failed objects.",
            ),
            (vec![task("a", ended(RunOutcome::Succeeded, None))], "No transfer is running. No failed objects."),
            (vec![task("a", ended(RunOutcome::Cancelled, None))], "No transfer is running. No failed objects."),
        ] {
            assert_eq!(judge(&facts(tasks)), (vec![], verdict.to_owned()));
        }
        let images = || TaskFacts { items: "images", ..task("b", moving()) };
        assert_eq!(judge(&facts(vec![images()])).1, "The running transfer is moving. No failed images.");
        assert_eq!(judge(&facts(vec![images(), task("a", moving())])).1, "All 2 running transfers are moving. No failed items.");
        let retried = Facts { last_retry: Some(ago(40)), ..facts(vec![task("a", moving()); 2]) };
        assert_eq!(judge(&retried).1, "All 2 running transfers are moving. No failed objects. Last retry 40s ago.");
    }

    #[test]
    fn each_fact_becomes_one_line() {
        let stalled = Activity::Running { started: ago(9_000), stalled_s: Some(94), checkpoint: Some(ago(10)) };
        let unsaved = Activity::Running { started: ago(9_000), stalled_s: None, checkpoint: Some(ago(150)) };
        let denied =
            |activity, failed, count| TaskFacts { failed, top_failure: Some(group("AccessDenied", count)), ..task("logs", activity) };
        let overdue = TaskFacts { due: Some(ago(7_200)), ..task("nightly", Activity::Idle { waiting: true, last: None }) };
        for (task, severity, since, text) in [
            (denied(moving(), 1_204, 1_204), Severity::Error, 1_260, "logs: 1,204 objects failed, AccessDenied on GetObject"),
            (denied(moving(), 9, 7), Severity::Error, 1_260, "logs: 9 objects failed, most with AccessDenied on GetObject"),
            (denied(Activity::Paused, 1, 1), Severity::Error, 1_260, "logs: 1 object failed, AccessDenied on GetObject"),
            (
                TaskFacts { items: "images", ..denied(moving(), 2, 2) },
                Severity::Error,
                1_260,
                "logs: 2 images failed, AccessDenied on GetObject",
            ),
            (task("ecr-platform", stalled), Severity::Critical, 100, "ecr-platform: no bytes for 94 s"),
            (task("a", unsaved), Severity::Warning, 150, "a: no checkpoint for 2m 30s"),
            (task("a", ended(RunOutcome::Failed, Some("NoSuchBucket: x"))), Severity::Error, 600, "a: last run failed: NoSuchBucket: x"),
            (
                denied(ended(RunOutcome::Incomplete, None), 3, 3),
                Severity::Error,
                600,
                "logs: last run incomplete: 3 objects failed, AccessDenied on GetObject",
            ),
            (overdue, Severity::Error, 7_200, "nightly: next run is 2h 00m overdue"),
        ] {
            let expected = Problem { severity, text: text.to_owned(), since: ago(since), task: Some(task.task.clone()) };
            assert_eq!(judge(&facts(vec![task])), (vec![expected], text.to_owned()));
        }
    }

    #[test]
    fn the_daemon_has_problems_of_its_own() {
        let credential = |expires, refresh_failed| CredentialFacts {
            name: "global-writer".to_owned(),
            expires: Timestamp(NOW + expires),
            refresh_failed,
            failing_since: ago(300),
        };
        let health = |since| cloudwatch::Health {
            target: String::new(),
            last_ok: None,
            failing: Some(cloudwatch::Failing { since, error: "connection refused".to_owned() }),
            buffered: 1_440,
        };
        let expired = CredentialFacts { expires: ago(90), ..credential(0, 9) };
        let with = |change: &dyn Fn(&mut Facts)| {
            let mut made = facts(vec![task("a", moving())]);
            change(&mut made);
            judge(&made).0.into_iter().map(|p| (p.severity, p.text)).collect::<Vec<_>>()
        };
        let one = |severity, text: &str| vec![(severity, text.to_owned())];
        assert_eq!(
            with(&|f| f.credentials = vec![credential(38 * 60_000, 2)]),
            one(Severity::Warning, "credentials \"global-writer\" expire in 38 min; refresh failed 2 times")
        );
        assert_eq!(
            with(&|f| f.credentials = vec![expired.clone()]),
            one(Severity::Critical, "credentials \"global-writer\" expired 1m 30s ago; refresh failed 9 times")
        );
        assert_eq!(with(&|f| f.credentials = vec![credential(60_000, 0), credential(7_200_000, 5)]), []);
        assert_eq!(
            with(&|f| f.metrics = Some(health(ago(300)))),
            one(Severity::Warning, "metrics are not published, 1,440 points wait: connection refused")
        );
        assert_eq!(with(&|f| f.metrics = Some(health(ago(60)))), []);
        assert_eq!(
            with(&|f| {
                f.refusing = Some((ago(9), "the state cannot be written: No space left on device".to_owned()));
                f.disk_free = Some((ago(9), 0.004));
            }),
            one(Severity::Critical, "the state cannot be written: No space left on device"),
            "once and not also as a full disk"
        );
        assert_eq!(with(&|f| f.disk_free = Some((ago(9), 0.084))), one(Severity::Warning, "disk of the state directory is 91% full"));
        assert_eq!(with(&|f| f.disk_free = Some((ago(9), 0.004))), one(Severity::Critical, "disk of the state directory is 99% full"));
        assert_eq!(
            with(&|f| f.reload_error = Some((ago(9), "line 3: unknown key \"limts\"".to_owned()))),
            one(Severity::Error, "configuration was not reloaded, the old one is in use: line 3: unknown key \"limts\"")
        );
    }

    #[test]
    fn the_worst_comes_first_and_then_the_oldest() {
        let stalled = |quiet| Activity::Running { started: ago(9_000), stalled_s: Some(quiet), checkpoint: Some(ago(10)) };
        let logs = TaskFacts { failed: 1_204, top_failure: Some(group("AccessDenied", 1_204)), ..task("logs", moving()) };
        let mut made = facts(vec![logs, task("b", stalled(94)), task("c", stalled(700))]);
        made.disk_free = Some((ago(9), 0.05));
        let (found, verdict) = judge(&made);
        let texts: Vec<&str> = found.iter().map(|p| p.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "c: no bytes for 11m 40s",
                "b: no bytes for 94 s",
                "logs: 1,204 objects failed, AccessDenied on GetObject",
                "disk of the state directory is 95% full"
            ]
        );
        assert_eq!(verdict, "4 problems. c: no bytes for 11m 40s");
    }

    #[test]
    fn text_of_others_stays_one_harmless_line() {
        let nasty = format!("NoSuchKey: \u{1b}[31m\r\n\u{202e}{}", "x".repeat(500));
        let (found, _) = judge(&facts(vec![task("a", ended(RunOutcome::Failed, Some(&nasty)))]));
        assert!(found[0].text.starts_with("a: last run failed: NoSuchKey:  [31m   xxx"), "{}", found[0].text);
        assert!(found[0].text.chars().count() == LONGEST && found[0].text.ends_with('…'));
    }
}
