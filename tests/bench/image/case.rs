//! The cases that `dth-bench image` measures, with their goals.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use dth_proto::units::{self, ByteSize};
use dth_tests::image::{Blob, Manifest};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde::Serialize;

/// The repository that is copied.
pub const REPOSITORY: &str = "bench/image";
/// Bytes of the layer that all images of a case with many share.
const BASE: u64 = 5_000_000;

/// Something to measure.
#[derive(Clone, Debug)]
pub struct Case {
    /// As on the command line.
    pub name: &'static str,
    /// Images, each with a tag of its own.
    pub images: usize,
    /// Layers that only one image has, in each.
    pub layers: usize,
    /// Bytes of each of those.
    pub size: ByteSize,
    /// A layer of [`BASE`] bytes that all images share.
    pub base: bool,
    /// The destination has everything already.
    pub unchanged: bool,
    /// Round trip to either registry.
    pub latency: Duration,
    /// What the engine must reach.
    pub goals: Vec<Goal>,
}

/// What the engine must reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// So many times faster than skopeo, by wall clock, at least.
    TimesFaster(f64),
    /// At most this share of skopeo's CPU.
    ShareOfCpu(f64),
    /// At most so much resident memory, MB of 1,000,000 bytes.
    PeakMb(f64),
}

/// What may be changed about the cases.
#[derive(Args, Clone, Debug, Default)]
pub struct Changes {
    /// Only this case (more than once: these).
    #[arg(long = "case", value_name = "NAME", value_parser = ["layer", "layers", "tags", "unchanged", "latency"])]
    cases: Vec<String>,
    /// Bytes of each layer, instead of the case's own.
    #[arg(long, value_name = "SIZE")]
    size: Option<ByteSize>,
    /// Number of images, instead of the case's own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    images: Option<u32>,
    /// Round trip to either registry, instead of the case's own.
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    latency: Option<Duration>,
}

impl Changes {
    /// The cases chosen, changed; goals hold only for a case as it is.
    #[must_use]
    pub fn cases(&self) -> Vec<Case> {
        let chosen = |case: &Case| self.cases.is_empty() || self.cases.iter().any(|name| name == case.name);
        let changed = self.size.is_some() || self.images.is_some() || self.latency.is_some();
        let change = |mut case: Case| {
            case.size = self.size.unwrap_or(case.size);
            case.images = self.images.map_or(case.images, |images| images as usize);
            case.latency = self.latency.unwrap_or(case.latency);
            if changed {
                case.goals.clear();
            }
            case
        };
        all().into_iter().filter(chosen).map(change).collect()
    }
}

fn all() -> Vec<Case> {
    let goals = |times: f64| vec![Goal::TimesFaster(times), Goal::ShareOfCpu(0.5), Goal::PeakMb(60.0)];
    let one = |name, layers, size| Case {
        name,
        images: 1,
        layers,
        size: ByteSize(size),
        base: false,
        unchanged: false,
        latency: Duration::ZERO,
        goals: Vec::new(),
    };
    let many = |name| Case { images: 150, base: true, ..one(name, 1, 20_000) };
    vec![
        Case { goals: goals(1.4), ..one("layer", 1, 600_000_000) },
        Case { goals: goals(1.25), ..one("layers", 8, 60_000_000) },
        Case { goals: goals(5.0), ..many("tags") },
        Case { goals: goals(8.0), unchanged: true, ..many("unchanged") },
        Case { goals: goals(20.0), latency: Duration::from_millis(100), ..many("latency") },
    ]
}

impl Case {
    /// `tags: 150 images to copy, 1 layer of 20.0 kB each and one of 5.00 MB in common`.
    #[must_use]
    pub fn title(&self) -> String {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let what = if self.unchanged { "at both ends" } else { "to copy" };
        let base = if self.base { format!(" and one of {} in common", units::bytes(BASE)) } else { String::new() };
        let latency = if self.latency.is_zero() { String::new() } else { format!(", {:?} to either registry and back", self.latency) };
        let Self { name, images, layers, .. } = self;
        let size = units::bytes(self.size.0);
        format!("{name}: {images} image{} {what}, {layers} layer{} of {size} each{base}{latency}", plural(*images), plural(*layers))
    }

    /// Whether all that counts is one blob.
    #[must_use]
    pub fn is_one_upload(&self) -> bool {
        self.images == 1 && self.layers == 1 && !self.base && !self.unchanged
    }

    /// The images with their tags, the same every time. The layers cannot be compressed, and say so: gzip, stored.
    pub fn make(&self) -> impl Iterator<Item = (String, Manifest)> {
        let base = self.base.then(|| layer(0, 0, BASE));
        (1..=self.images).map(move |image| {
            let own = (1..=self.layers).map(|n| layer(image, n, self.size.0));
            (format!("v{image}"), Manifest::docker("amd64", base.iter().cloned().chain(own).collect()))
        })
    }
}

fn layer(image: usize, n: usize, size: u64) -> Blob {
    let mut content = vec![0; size as usize];
    StdRng::seed_from_u64((image as u64) << 32 | n as u64).fill_bytes(&mut content);
    Blob::gzip(&Bytes::from(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_was_changed_has_no_goals() {
        let cases = Changes::default().cases();
        assert_eq!(cases.iter().map(|case| case.name).collect::<Vec<_>>(), ["layer", "layers", "tags", "unchanged", "latency"]);
        assert!(cases.iter().all(|case| case.goals.len() == 3));
        let changed = Changes { cases: vec!["tags".to_owned()], images: Some(2), ..Changes::default() }.cases();
        assert_eq!((changed.len(), changed[0].images, changed[0].goals.len()), (1, 2, 0));
    }

    #[test]
    fn images_share_their_base_and_nothing_else() {
        let case = Changes { cases: vec!["tags".to_owned()], images: Some(3), ..Changes::default() }.cases().remove(0);
        let layers: Vec<Vec<String>> = case.make().map(|(_, image)| image.blobs[1..].iter().map(Blob::digest).collect()).collect();
        assert!(layers.iter().all(|of| of.len() == 2 && of[0] == layers[0][0]));
        assert!(layers[0][1] != layers[1][1] && layers[1][1] != layers[2][1]);
        assert_eq!(case.title(), "tags: 3 images to copy, 1 layer of 20.0 kB each and one of 5.00 MB in common");
    }
}
