//! The cases that `dth-bench s3` measures, with their goals.

use std::time::Duration;

use clap::Args;
use dth_proto::units::ByteSize;
use serde::Serialize;

use crate::{figures::Metric, keys::Keys, serve::Settings};

/// Something to measure.
#[derive(Clone, Debug)]
pub struct Case {
    /// As on the command line.
    pub name: &'static str,
    /// What the server holds and how it behaves.
    pub settings: Settings,
    /// Objects on their way at the same time, for participants that must be told.
    pub connections: usize,
    /// The figure that it is about.
    pub metric: Metric,
    /// What the engine must reach.
    pub goals: Vec<Goal>,
}

/// A figure that must not be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// Of what.
    pub metric: Metric,
    /// The highest value that meets it.
    pub most: f64,
}

/// What may be changed about the cases.
#[derive(Args, Clone, Debug, Default)]
pub struct Changes {
    /// Only this case (more than once: these).
    #[arg(long = "case", value_name = "NAME", value_parser = ["small", "large", "compare", "latency"])]
    cases: Vec<String>,
    /// Bytes of each object, instead of the case's own.
    #[arg(long, value_name = "SIZE")]
    size: Option<ByteSize>,
    /// Number of objects, instead of the case's own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    objects: Option<u64>,
    /// Wait of each request, instead of the case's own.
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    latency: Option<Duration>,
    /// All keys in one prefix, without folders.
    #[arg(long)]
    flat: bool,
}

impl Changes {
    /// The cases chosen, changed; goals hold only for a case as it is.
    #[must_use]
    pub fn cases(&self) -> Vec<Case> {
        let chosen = |case: &Case| self.cases.is_empty() || self.cases.iter().any(|name| name == case.name);
        let changed = self.size.is_some() || self.objects.is_some() || self.latency.is_some() || self.flat;
        let change = |mut case: Case| {
            let settings = &mut case.settings;
            settings.size = self.size.unwrap_or(settings.size);
            settings.keys.count = self.objects.unwrap_or(settings.keys.count);
            settings.keys.flat |= self.flat;
            settings.latency = self.latency.unwrap_or(settings.latency);
            if changed {
                case.goals.clear();
            }
            case
        };
        all().into_iter().filter(chosen).map(change).collect()
    }
}

fn all() -> Vec<Case> {
    let settings = |count: u64, size: u64| Settings {
        keys: Keys { count, flat: false },
        size: ByteSize(size),
        equal: false,
        latency: Duration::ZERO,
        refuse: 0.0,
        refuse_for: Duration::ZERO,
    };
    let memory = Goal { metric: Metric::Peak, most: 100.0 };
    vec![
        Case {
            name: "small",
            settings: settings(50_000, 4 << 10),
            connections: 64,
            metric: Metric::CpuPerObject,
            goals: vec![Goal { metric: Metric::CpuPerObject, most: 0.08 }, memory],
        },
        Case {
            name: "large",
            settings: settings(4, 1 << 30),
            connections: 4,
            metric: Metric::CpuPerGib,
            goals: vec![Goal { metric: Metric::CpuPerGib, most: 0.75 }, memory],
        },
        Case {
            name: "compare",
            settings: Settings { equal: true, ..settings(1_000_000, 4 << 10) },
            connections: 64,
            metric: Metric::Cpu,
            goals: vec![Goal { metric: Metric::Cpu, most: 2.0 }, Goal { metric: Metric::Peak, most: 64.0 }],
        },
        Case {
            name: "latency",
            settings: Settings { latency: Duration::from_millis(40), ..settings(20_000, 4 << 10) },
            connections: 1_000,
            metric: Metric::Wall,
            goals: vec![Goal { metric: Metric::Wall, most: 4.0 }, memory],
        },
    ]
}

impl Case {
    /// `50,000 objects of 4.10 kB, 40ms per request`.
    #[must_use]
    pub fn title(&self) -> String {
        let settings = &self.settings;
        let what = if settings.equal { "equal objects at both ends" } else { "objects to copy" };
        let latency = if settings.latency.is_zero() { String::new() } else { format!(", {:?} per request", settings.latency) };
        format!("{}: {} {what}, {} each{latency}", self.name, dth_proto::units::grouped(settings.keys.count), settings.size)
    }

    /// How many objects must be written.
    #[must_use]
    pub fn to_write(&self) -> u64 {
        if self.settings.equal { 0 } else { self.settings.keys.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_was_changed_has_no_goals() {
        let cases = Changes::default().cases();
        assert_eq!(cases.iter().map(|case| case.name).collect::<Vec<_>>(), ["small", "large", "compare", "latency"]);
        assert!(cases.iter().all(|case| case.goals.len() == 2));
        let changed = Changes { cases: vec!["large".to_owned()], objects: Some(2), ..Changes::default() }.cases();
        assert_eq!(changed.len(), 1);
        assert_eq!((changed[0].settings.keys.count, changed[0].settings.size.0, changed[0].goals.len()), (2, 1 << 30, 0));
    }
}
