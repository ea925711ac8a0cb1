//! The table and the JSON of what `dth-bench image` measured.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    case::{Case, Goal},
    trial::{Figures, Participant},
};
use crate::{figures::median, report::number};

/// A column: its head, and where its value is.
type Column = (&'static str, fn(&Figures) -> f64);

/// Columns of every table.
const COLUMNS: [Column; 8] = [
    ("wall s", |figures| figures.wall_s),
    ("CPU s", |figures| figures.cpu_s),
    ("peak MB", |figures| figures.peak as f64 / 1e6),
    ("from source", |figures| figures.source_requests as f64),
    ("to dest", |figures| figures.destination_requests as f64),
    ("writes", |figures| figures.writes as f64),
    ("source CPU s", |figures| figures.source_cpu_s),
    ("dest CPU s", |figures| figures.destination_cpu_s),
];

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
    /// One for each participant.
    pub rows: Vec<Row>,
    /// How many times longer skopeo took than the engine, by the medians.
    pub times_faster: Option<f64>,
    /// The engine's CPU as a share of skopeo's, by the medians.
    pub share_of_cpu: Option<f64>,
    /// The engine's [`Figures::floor_s`], the median.
    pub floor_s: Option<f64>,
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
}

/// A goal and what was reached.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// What was wanted.
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

    fn median(&self, of: fn(&Figures) -> f64) -> Option<f64> {
        if self.right() { median(self.runs.iter().map(of).collect()) } else { None }
    }
}

impl Measured {
    /// Puts the rows of a case in relation to each other and to its goals.
    #[must_use]
    pub fn new(case: &Case, rows: Vec<Row>) -> Self {
        let of = |participant, figure| rows.iter().find(|row| row.participant == participant).and_then(|row| row.median(figure));
        let ratio =
            |figure: fn(&Figures) -> f64, over, under| Some(of(over, figure)? / of(under, figure).filter(|under: &f64| *under > 0.0)?);
        let (engine, skopeo) = (Participant::Engine, Participant::Skopeo);
        let times_faster = ratio(|figures| figures.wall_s, skopeo, engine);
        let share_of_cpu = ratio(|figures| figures.cpu_s, engine, skopeo);
        let floor_s = of(engine, |figures| figures.floor_s);
        let peak = of(engine, |figures| figures.peak as f64 / 1e6);
        let verdict = |goal: &Goal| {
            let (reached, met) = match *goal {
                Goal::TimesFaster(least) => (times_faster, times_faster.is_some_and(|times| times >= least)),
                Goal::ShareOfCpu(most) => (share_of_cpu, share_of_cpu.is_some_and(|share| share <= most)),
                Goal::PeakMb(most) => (peak, peak.is_some_and(|peak| peak <= most)),
            };
            Verdict { goal: *goal, reached, met }
        };
        let goals = case.goals.iter().map(verdict).collect();
        Self { name: case.name, title: case.title(), times_faster, share_of_cpu, floor_s, goals, rows }
    }

    /// Whether every run of everyone who is installed was complete and right.
    #[must_use]
    pub fn right(&self) -> bool {
        self.rows.iter().filter(|row| row.name.is_some()).all(Row::right)
    }

    fn wall_of(&self, participant: Participant) -> Option<f64> {
        self.rows.iter().find(|row| row.participant == participant)?.median(|figures| figures.wall_s)
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!("{}\n{:<16}", self.title, "");
        for (head, _) in COLUMNS {
            // writing to a String cannot fail
            let _ = write!(text, " {head:>16}");
        }
        text.push('\n');
        for row in &self.rows {
            text.push_str(&line(row));
        }
        if let (Some(times), Some(share)) = (self.times_faster, self.share_of_cpu) {
            let _ = writeln!(text, "{} x faster than skopeo, with {} of its CPU", number(times), number(share));
        }
        if let (Some(floor), Some(skopeo)) = (self.floor_s.filter(|floor| *floor > 0.0), self.wall_of(Participant::Skopeo)) {
            let most = number(skopeo / floor);
            let _ = writeln!(text, "these registries take {} s of it by themselves: nothing is more than {most} x faster", number(floor));
        }
        for Verdict { goal, reached, met } in &self.goals {
            let wanted = match goal {
                Goal::TimesFaster(least) => format!("at least {} x faster than skopeo", number(*least)),
                Goal::ShareOfCpu(most) => format!("at most {} of skopeo's CPU", number(*most)),
                Goal::PeakMb(most) => format!("at most {} MB", number(*most)),
            };
            let reached = reached.map_or("nothing".to_owned(), number);
            let _ = writeln!(text, "goal: {wanted}: {reached}, {}", if *met { "met" } else { "MISSED" });
        }
        text
    }
}

fn line(row: &Row) -> String {
    let Some(name) = &row.name else {
        // plain data whose words are known
        let word = serde_json::to_value(row.participant).unwrap_or_default();
        return format!("{:<16} not found\n", word.as_str().unwrap_or_default());
    };
    let mut text = format!("{name:<16}");
    if let Some(wrong) = row.runs.iter().find_map(|run| run.wrong.as_deref()) {
        let bad = row.runs.iter().filter(|run| run.wrong.is_some()).count();
        let _ = writeln!(text, " NOT RIGHT in {bad} of {} runs: {wrong}", row.runs.len());
        return text;
    }
    for (_, figure) in COLUMNS {
        let _ = write!(text, " {:>16}", row.median(figure).map_or_else(|| "-".to_owned(), number));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::case::Changes;

    fn row(participant: Participant, wall: &[f64], wrong: Option<&str>) -> Row {
        let run = |wall_s: &f64| Figures {
            wall_s: *wall_s,
            cpu_s: *wall_s,
            peak: 50_000_000,
            floor_s: *wall_s / 2.0,
            wrong: wrong.map(str::to_owned),
            ..Figures::default()
        };
        Row { participant, name: Some(format!("{participant:?}")), runs: wall.iter().map(run).collect() }
    }

    #[test]
    fn medians_ratios_and_goals() {
        let case = Changes::default().cases().remove(0);
        let measured = Measured::new(&case, vec![row(Participant::Engine, &[1.0, 9.0, 2.0], None), row(Participant::Skopeo, &[3.0], None)]);
        assert_eq!((measured.times_faster, measured.share_of_cpu.map(|share| share > 0.66 && share < 0.67)), (Some(1.5), Some(true)));
        assert_eq!(measured.goals.iter().map(|goal| goal.met).collect::<Vec<_>>(), [true, false, true]);
        let table = measured.table();
        assert!(table.contains("goal: at least 1.40 x faster than skopeo: 1.50, met"), "{table}");
        assert!(table.contains("goal: at most 0.500 of skopeo's CPU: 0.667, MISSED"), "{table}");
        assert!(table.contains("these registries take 1.00 s of it by themselves: nothing is more than 3.00 x faster"), "{table}");
    }

    #[test]
    fn who_is_not_right_or_not_there_meets_no_goal() {
        let case = Changes::default().cases().remove(0);
        let skopeo = Row { name: None, ..row(Participant::Skopeo, &[], None) };
        let measured = Measured::new(&case, vec![row(Participant::Engine, &[1.0], Some("failed")), skopeo]);
        assert!(!measured.right() && measured.goals.iter().all(|goal| !goal.met));
        let table = measured.table();
        assert!(table.contains("NOT RIGHT in 1 of 1 runs: failed") && table.contains("skopeo           not found"), "{table}");
    }
}
