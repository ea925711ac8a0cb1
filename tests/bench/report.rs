//! The table and the JSON of what was measured.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    case::{Case, Goal},
    figures::{Figures, Metric, median},
    participant::Participant,
};

/// Columns of every table, beside the figure that the case is about.
const COLUMNS: [Metric; 4] = [Metric::Wall, Metric::Cpu, Metric::Peak, Metric::Requests];

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: String,
    /// With which arguments.
    pub command: String,
    /// What.
    pub cases: Vec<Measured>,
}

/// A case as it was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// As on the command line.
    pub name: &'static str,
    /// In words.
    pub title: String,
    /// Number of objects.
    pub objects: u64,
    /// Bytes of each.
    pub size: u64,
    /// The figure that it is about.
    pub metric: Metric,
    /// One for each participant.
    pub rows: Vec<Row>,
    /// One for each goal.
    pub goals: Vec<Verdict>,
}

/// A participant in a case.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Who.
    pub participant: Participant,
    /// Name and version; `None`: not installed.
    pub name: Option<String>,
    /// Every run.
    pub runs: Vec<Figures>,
    /// The median of the case's figure; `None` unless all runs were complete and right.
    pub value: Option<f64>,
    /// The median relative to the engine's.
    pub to_engine: Option<f64>,
    /// The median relative to the raw relay's.
    pub to_relay: Option<f64>,
}

/// A goal and what was reached.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// What was wanted.
    #[serde(flatten)]
    pub goal: Goal,
    /// What was reached.
    pub reached: Option<f64>,
    /// Whether that is enough.
    pub met: bool,
}

impl Row {
    /// Whether all its runs were complete and right.
    #[must_use]
    pub fn right(&self) -> bool {
        !self.runs.is_empty() && self.runs.iter().all(|run| run.wrong.is_none())
    }

    fn median(&self, metric: Metric, case: &Case) -> Option<f64> {
        if !self.right() {
            return None;
        }
        median(self.runs.iter().map(|run| metric.of(run, case.settings.keys.count, case.settings.size.0)).collect())
    }
}

impl Measured {
    /// Puts the rows of a case in relation to each other and to its goals.
    #[must_use]
    pub fn new(case: &Case, mut rows: Vec<Row>) -> Self {
        let medians: Vec<(Participant, Option<f64>)> = rows.iter().map(|row| (row.participant, row.median(case.metric, case))).collect();
        let of = |wanted| medians.iter().find(|(participant, _)| *participant == wanted).and_then(|(_, value)| *value);
        for (row, (_, value)) in rows.iter_mut().zip(&medians) {
            let to = |base: Option<f64>| Some((*value)? / base.filter(|base| *base > 0.0)?);
            (row.value, row.to_engine, row.to_relay) = (*value, to(of(Participant::Engine)), to(of(Participant::Relay)));
        }
        let engine = rows.iter().find(|row| row.participant == Participant::Engine);
        let goals = case.goals.iter().map(|goal| {
            let reached = engine.and_then(|row| row.median(goal.metric, case));
            Verdict { goal: *goal, reached, met: reached.is_some_and(|reached| reached <= goal.most) }
        });
        Self {
            name: case.name,
            title: case.title(),
            objects: case.settings.keys.count,
            size: case.settings.size.0,
            metric: case.metric,
            goals: goals.collect(),
            rows,
        }
    }

    /// Whether every run of everyone who is installed was complete and right.
    #[must_use]
    pub fn right(&self) -> bool {
        self.rows.iter().filter(|row| row.name.is_some()).all(Row::right)
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self, case: &Case) -> String {
        let mut columns = COLUMNS.to_vec();
        if !columns.contains(&self.metric) {
            columns.insert(2, self.metric);
        }
        let mut text = format!("{}\n{:<20}", self.title, "");
        for column in &columns {
            // writing to a String cannot fail
            let _ = write!(text, " {:>15}", column.title());
        }
        let _ = writeln!(text, " {:>9} {:>9}", "x relay", "x dthd");
        for row in &self.rows {
            text.push_str(&self.line(case, row, &columns));
        }
        for goal in &self.goals {
            let Verdict { goal: Goal { metric, most }, reached, met } = goal;
            let reached = reached.map_or("nothing".to_owned(), number);
            let _ = writeln!(text, "goal: {} <= {}: {reached}, {}", metric.title(), number(*most), if *met { "met" } else { "MISSED" });
        }
        text
    }

    fn line(&self, case: &Case, row: &Row, columns: &[Metric]) -> String {
        let Some(name) = &row.name else {
            // plain data whose words are known
            let word = serde_json::to_value(row.participant).unwrap_or_default();
            return format!("{:<20} not found\n", word.as_str().unwrap_or_default());
        };
        let mut text = format!("{name:<20}");
        if let Some(wrong) = row.runs.iter().find_map(|run| run.wrong.as_deref()) {
            let bad = row.runs.iter().filter(|run| run.wrong.is_some()).count();
            let _ = writeln!(text, " NOT RIGHT in {bad} of {} runs: {wrong}", row.runs.len());
            return text;
        }
        for column in columns {
            let _ = write!(text, " {:>15}", row.median(*column, case).map_or_else(|| "-".to_owned(), number));
        }
        let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let _ = writeln!(text, " {:>9} {:>9}", ratio(row.to_relay), ratio(row.to_engine));
        text
    }
}

/// Three digits that count.
#[must_use]
pub fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// `2 x Intel(R) Xeon(R) …, 25.2 GB, Linux 6.1.0`.
#[must_use]
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory = field(&read("/proc/meminfo"), "MemTotal").and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    let memory = dth_proto::units::bytes(memory.unwrap_or(0) * 1_024);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} x {model}, {memory}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Changes;

    fn row(participant: Participant, cpu: &[f64], wrong: Option<&str>) -> Row {
        let runs = cpu.iter().map(|cpu_s| Figures { cpu_s: *cpu_s, wrong: wrong.map(str::to_owned), ..Figures::default() });
        Row { participant, name: Some(format!("{participant:?}")), runs: runs.collect(), value: None, to_engine: None, to_relay: None }
    }

    #[test]
    fn medians_ratios_and_goals() {
        let case = Changes::default().cases().remove(0);
        let rows = vec![
            row(Participant::Relay, &[2.0, 1.0, 9.0], None),
            row(Participant::Engine, &[4.0], None),
            row(Participant::Rclone, &[20.0], Some("exit 1")),
            Row { name: None, ..row(Participant::S3sync, &[], None) },
        ];
        let measured = Measured::new(&case, rows);
        assert_eq!((measured.rows[1].value, measured.rows[1].to_relay), (Some(0.08), Some(2.0)));
        assert_eq!((measured.rows[2].value, measured.rows[2].to_engine), (None, None));
        assert_eq!(measured.goals.iter().map(|goal| goal.met).collect::<Vec<_>>(), [true, true]);
        assert!(!measured.right(), "a run that was not right");
        let table = measured.table(&case);
        assert!(table.contains("NOT RIGHT in 1 of 1 runs: exit 1") && table.contains("s3sync               not found"), "{table}");
        assert!(table.contains("goal: CPU-ms/object <= 0.080: 0.080, met"), "{table}");
    }

    #[test]
    fn a_run_that_was_not_right_meets_no_goal() {
        let case = Changes::default().cases().remove(0);
        let measured = Measured::new(&case, vec![row(Participant::Engine, &[0.1], Some("failed"))]);
        assert!(measured.goals.iter().all(|goal| !goal.met && goal.reached.is_none()));
    }
}
