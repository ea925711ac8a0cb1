//! What one run took, and the median of several.

use serde::{Deserialize, Serialize};

use crate::serve::Counts;

/// One run of one participant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// From the start of the process to its end; for the engine, which is a daemon, from the creation of the task to the end of its run.
    pub wall_s: f64,
    /// CPU of the whole process, from its start to its end.
    pub cpu_s: f64,
    /// Of it, in user space.
    pub user_s: f64,
    /// Of it, in the kernel.
    pub system_s: f64,
    /// Highest resident memory, bytes.
    pub peak: u64,
    /// CPU of the server meanwhile.
    pub server_cpu_s: f64,
    /// What the server counted.
    pub counts: Counts,
    /// Why the run is not complete or not right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
}

/// Something that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Wall clock, seconds.
    Wall,
    /// CPU, seconds.
    Cpu,
    /// CPU for each object, milliseconds.
    CpuPerObject,
    /// CPU for each GiB, seconds.
    CpuPerGib,
    /// Highest resident memory, MB of 1,000,000 bytes.
    Peak,
    /// Requests for each object.
    Requests,
}

impl Metric {
    /// As the head of a column.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Wall => "wall s",
            Self::Cpu => "CPU s",
            Self::CpuPerObject => "CPU-ms/object",
            Self::CpuPerGib => "CPU-s/GiB",
            Self::Peak => "peak MB",
            Self::Requests => "requests/object",
        }
    }

    /// Its value for `objects` objects of `size` bytes.
    #[must_use]
    pub fn of(self, figures: &Figures, objects: u64, size: u64) -> f64 {
        let each = objects.max(1) as f64;
        match self {
            Self::Wall => figures.wall_s,
            Self::Cpu => figures.cpu_s,
            Self::CpuPerObject => figures.cpu_s * 1e3 / each,
            Self::CpuPerGib => figures.cpu_s / (each * size.max(1) as f64 / (1_u64 << 30) as f64),
            Self::Peak => figures.peak as f64 / 1e6,
            Self::Requests => figures.counts.total() as f64 / each,
        }
    }
}

/// The median; `None` of nothing.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn values_are_per_what_they_say() {
        let mut figures = Figures { wall_s: 2.0, cpu_s: 3.0, peak: 64_000_000, ..Figures::default() };
        figures.counts.requests.insert("GetObject".to_owned(), 30);
        let values = [Metric::Wall, Metric::Cpu, Metric::CpuPerObject, Metric::CpuPerGib, Metric::Peak, Metric::Requests]
            .map(|metric| metric.of(&figures, 4, 1 << 30));
        assert_eq!(values, [2.0, 3.0, 750.0, 0.75, 64.0, 7.5]);
    }
}
