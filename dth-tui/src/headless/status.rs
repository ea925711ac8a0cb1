//! `dth status`: is all well, how fast, when done.

use dth_proto::{
    units,
    view::{DaemonInfo, Problem, Severity, Summary, items_counted},
    wire,
};
use serde::Serialize;

use super::{
    Caller, CommandError, cell, list,
    table::{Align, Column, Table},
};
use crate::exit;

/// The JSON answer: the summary's fields, and these two.
#[derive(Serialize)]
struct Status {
    #[serde(flatten)]
    summary: Summary,
    problems: Vec<Problem>,
    daemon: DaemonInfo,
    /// What the items of the summary are called, for people.
    #[serde(skip)]
    items: &'static str,
}

pub(super) async fn run(caller: &mut Caller<'_>, exit_code: bool) -> Result<u8, CommandError> {
    let mut session = caller.connect().await?;
    let daemon = session.call(|client| async move { client.info(wire::context()).await }).await?;
    let mirror = list::snapshot(&mut session).await?;
    let items = items_counted(mirror.tasks.values());
    let status = Status { summary: mirror.summary, problems: mirror.problems, daemon, items };
    if caller.output.is_table() {
        caller.output.raw(&text(&status))?;
    } else {
        caller.output.document(&status)?;
    }
    Ok(if exit_code && !status.summary.ok { exit::FAILED } else { exit::OK })
}

fn text(status: &Status) -> String {
    const FIELDS: &[Column] = &[("", Align::Left), ("", Align::Left)];
    const PROBLEMS: &[Column] = &[("", Align::Left), ("", Align::Left), ("", Align::Left)];
    let Status { summary, problems, daemon, items } = status;
    let row = |label: &str, value: String| vec![label.to_owned(), value];
    let mut rows = vec![
        row("verdict", summary.verdict.clone()),
        row("daemon", format!("dthd {} on {}, since {}", daemon.version, daemon.host, cell::time(daemon.started))),
        row("you", format!("{} ({})", daemon.user, daemon.role)),
        row("tasks", tasks(summary)),
        row("items", format!("{}{}", floor(summary), cell::accounting(&summary.counters))),
        row(
            "bytes",
            format!("{} of {}{}", units::bytes(summary.counters.bytes_done), floor(summary), units::bytes(summary.counters.bytes_listed)),
        ),
        row("rate", rate(summary, items)),
        row("eta", cell::or_nothing(summary.eta_s.map(units::eta))),
    ];
    rows.extend(daemon.metrics.clone().map(|metrics| row("metrics", metrics)));
    let mut text = Table::bare(FIELDS).page(&rows);
    if !problems.is_empty() {
        text.push_str("\nproblems\n");
        let rows: Vec<_> = problems.iter().map(|p| vec![severity(p.severity).to_owned(), cell::time(p.since), p.text.clone()]).collect();
        text.push_str(&Table::bare(PROBLEMS).page(&rows));
    }
    text
}

fn tasks(s: &Summary) -> String {
    let parts = [(s.running, "running"), (s.queued, "queued"), (s.waiting, "waiting"), (s.paused, "paused")];
    let parts: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if parts.is_empty() { s.tasks.to_string() } else { format!("{}: {}", s.tasks, parts.join(", ")) }
}

fn floor(s: &Summary) -> &'static str {
    if s.total_is_floor { "at least " } else { "" }
}

fn rate(s: &Summary, items: &str) -> String {
    let limit = s.cap.map_or_else(String::new, |cap| format!(", limit {}", units::rate(cap)));
    format!("{} now, {} over the hour, {:.0} {items}/s{limit}", units::rate(s.rate), units::rate(s.rate_hour), s.objects_per_s)
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "CRITICAL",
        Severity::Error => "ERROR",
        Severity::Warning => "WARN",
    }
}

#[cfg(test)]
mod tests {
    use dth_proto::{
        id::{Epoch, TaskName},
        time::Timestamp,
        view::Counters,
    };
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn status_as_people_read_it() {
        let summary = Summary {
            ok: false,
            verdict: "1 task failing, 2 running".to_owned(),
            tasks: 6,
            running: 2,
            paused: 1,
            counters: Counters {
                listed: 1_204,
                same: 200,
                copied: 1_000,
                failed: 3,
                pending: 1,
                bytes_listed: 5_000_000_000,
                bytes_done: 1_250_000_000,
                ..Counters::default()
            },
            total_is_floor: true,
            rate: 1_250_000_000,
            rate_hour: 900_000_000,
            objects_per_s: 820.4,
            cap: Some(1_250_000_000),
            eta_s: Some(32_880),
            ..Summary::default()
        };
        let daemon = DaemonInfo {
            version: "0.1.0".to_owned(),
            protocol: 1,
            epoch: Epoch("e".to_owned()),
            started: Timestamp(1_796_090_400_000),
            host: "xfer-bj-01".to_owned(),
            pid: 7,
            config_file: None,
            state_dir: "/var/lib/dth".to_owned(),
            credentials: Vec::new(),
            memory: (0, 0),
            metrics: Some("CloudWatch us-east-1 \"DTH\", nothing sent yet".to_owned()),
            user: "mli".to_owned(),
            role: "operator".to_owned(),
            verdict: String::new(),
        };
        let problems = vec![
            Problem {
                severity: Severity::Error,
                text: "logs: 403 AccessDenied on \x1b[31maudit/".to_owned(),
                since: Timestamp(1_796_090_400_000),
                task: Some(TaskName::new("logs").expect("good name")),
            },
            Problem {
                severity: Severity::Warning,
                text: "state directory 91 % full".to_owned(),
                since: Timestamp(1_796_090_460_000),
                task: None,
            },
        ];
        assert_snapshot!(text(&Status { summary, problems, daemon, items: "objects" }), @r#"
        verdict  1 task failing, 2 running
        daemon   dthd 0.1.0 on xfer-bj-01, since 2026-12-01T02:00:00Z
        you      mli (operator)
        tasks    6: 2 running, 1 paused
        items    at least 1,204 listed = 200 same + 1,000 copied + 0 skipped + 3 failed + 1 pending
        bytes    1.25 GB of at least 5.00 GB
        rate     1.25 GB/s now, 900 MB/s over the hour, 820 objects/s, limit 1.25 GB/s
        eta      9h 08m
        metrics  CloudWatch us-east-1 "DTH", nothing sent yet

        problems
        ERROR  2026-12-01T02:00:00Z  logs: 403 AccessDenied on �[31maudit/
        WARN   2026-12-01T02:01:00Z  state directory 91 % full
        "#);
    }
}
