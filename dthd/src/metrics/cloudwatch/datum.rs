//! One value of one metric: its name, unit, dimensions, and its form for CloudWatch.

use std::time::Duration;

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use dth_proto::{id::TaskName, time::Timestamp};

/// CloudWatch takes points up to two weeks old (API reference, PutMetricData); a day less leaves room for clocks that differ.
const OLDEST: Duration = Duration::from_secs(13 * 86_400);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    CompletedBytes,
    TransferredObjects,
    FailedObjects,
    RunningJobs,
    WaitingJobs,
    EventLag,
    ReceivedEvents,
    AppliedEvents,
}

impl Metric {
    #[cfg(test)]
    const ALL: [Self; 8] = [
        Self::CompletedBytes,
        Self::TransferredObjects,
        Self::FailedObjects,
        Self::RunningJobs,
        Self::WaitingJobs,
        Self::EventLag,
        Self::ReceivedEvents,
        Self::AppliedEvents,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::CompletedBytes => "CompletedBytes",
            Self::TransferredObjects => "TransferredObjects",
            Self::FailedObjects => "FailedObjects",
            Self::RunningJobs => "RunningJobs",
            Self::WaitingJobs => "WaitingJobs",
            Self::EventLag => "EventLag",
            Self::ReceivedEvents => "ReceivedEvents",
            Self::AppliedEvents => "AppliedEvents",
        }
    }

    fn unit(self) -> StandardUnit {
        match self {
            Self::CompletedBytes => StandardUnit::Bytes,
            Self::EventLag => StandardUnit::Seconds,
            _ => StandardUnit::Count,
        }
    }
}

/// One value. Dimensions: Engine, and Task unless it is about the engine as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Datum {
    pub(super) metric: Metric,
    pub(super) task: Option<TaskName>,
    pub(super) engine: &'static str,
    /// End of the interval it is about.
    pub(super) at: Timestamp,
    pub(super) value: u64,
}

impl Datum {
    /// No fewer bytes than it takes in a request, in whichever of AWS's encodings: field names of the longest (the query
    /// protocol, about 40 for each of 8 fields, plus value, time and unit) and twice the text.
    pub(super) fn size(&self) -> usize {
        450 + 2 * self.task.as_ref().map_or(0, |task| task.as_str().len() + 60)
    }

    /// The datum for a request sent at `now`. Times CloudWatch would refuse are moved to the nearest it takes: the sum is worth
    /// more than the minute. Values are exact up to 2^53.
    pub(super) fn to_sdk(&self, now: Timestamp) -> MetricDatum {
        let oldest = now.0.saturating_sub(u64::try_from(OLDEST.as_millis()).unwrap_or(u64::MAX));
        let at = i64::try_from(self.at.0.clamp(oldest, now.0)).unwrap_or(i64::MAX);
        let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
        let datum = MetricDatum::builder()
            .metric_name(self.metric.name())
            .unit(self.metric.unit())
            .timestamp(aws_sdk_cloudwatch::primitives::DateTime::from_millis(at))
            .value(self.value as f64)
            .dimensions(dimension("Engine", self.engine));
        self.task.iter().fold(datum, |datum, task| datum.dimensions(dimension("Task", task.as_str()))).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datum(at: u64) -> Datum {
        Datum { metric: Metric::CompletedBytes, task: TaskName::new("photos").ok(), engine: "s3", at: Timestamp(at), value: 5 }
    }

    #[test]
    fn it_has_name_unit_dimensions_and_value() {
        let sdk = datum(1_000).to_sdk(Timestamp(2_000));
        let dimensions: Vec<_> = sdk.dimensions().iter().filter_map(|d| Some((d.name()?, d.value()?))).collect();
        assert_eq!(dimensions, [("Engine", "s3"), ("Task", "photos")]);
        assert_eq!((sdk.metric_name(), sdk.value(), sdk.unit()), (Some("CompletedBytes"), Some(5.0), Some(&StandardUnit::Bytes)));
        assert_eq!(sdk.timestamp().and_then(|t| t.to_millis().ok()), Some(1_000));
    }

    /// Every metric that the deployable files name, so that a renamed metric cannot leave them behind.
    fn named_in(text: &str) -> Vec<&'static str> {
        Metric::ALL.into_iter().map(Metric::name).filter(|name| text.contains(name)).collect()
    }

    #[test]
    fn dashboard_and_alarms_are_json_about_these_metrics() {
        let dashboard = include_str!("../../../../config/cloudwatch/dashboard.json");
        let body: serde_json::Value = serde_json::from_str(dashboard).expect("dashboard.json is JSON");
        let widgets = body["widgets"].as_array().expect("widgets");
        assert!(!widgets.is_empty());
        for widget in widgets {
            let metrics = widget["properties"]["metrics"].as_array().expect("metrics");
            let ids: Vec<&str> = metrics.iter().filter_map(|m| m[0]["id"].as_str()).collect();
            assert_eq!(ids.len(), metrics.len(), "every line is an expression with an id: {widget}");
            assert!(widget["x"].as_u64().zip(widget["width"].as_u64()).is_some_and(|(x, width)| x + width <= 24), "{widget}");
        }
        assert_eq!(named_in(dashboard), Metric::ALL.map(Metric::name));

        let alarms = include_str!("../../../../config/cloudwatch/alarms.json");
        let template: serde_json::Value = serde_json::from_str(alarms).expect("alarms.json is JSON");
        let resources = template["Resources"].as_object().expect("resources");
        for (name, resource) in resources {
            assert_eq!(resource["Type"], "AWS::CloudWatch::Alarm", "{name}");
            assert!(!named_in(&resource["Properties"].to_string()).is_empty(), "{name} is about a metric of ours");
        }
        assert_eq!(named_in(alarms), ["FailedObjects", "RunningJobs", "WaitingJobs", "EventLag"]);
    }

    #[test]
    fn times_are_moved_to_what_cloudwatch_takes() {
        let day = 86_400_000;
        for (at, now, sent) in [(1_000, 20 * day, 7 * day), (9 * day, 20 * day, 9 * day), (21 * day, 20 * day, 20 * day)] {
            assert_eq!(
                datum(at).to_sdk(Timestamp(now)).timestamp().and_then(|t| t.to_millis().ok()),
                Some(i64::try_from(sent).expect("small"))
            );
        }
    }
}
