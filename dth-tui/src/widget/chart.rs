//! Rates over time as columns of block characters; a gap in the data stays a gap.

use crate::glyph::GlyphSet;

/// `height` rows of exactly `width` characters, top row first. Points are spread over the width: with fewer points than columns
/// each is repeated, with more the largest of a column counts. `top` is the value of a full column.
#[must_use]
pub fn rows(points: &[Option<u64>], width: usize, height: usize, top: u64, glyph: &GlyphSet) -> Vec<String> {
    let steps = glyph.levels.len().saturating_sub(1);
    let filled: Vec<Option<usize>> = (0..width).map(|x| column(points, x, width).map(|v| level(v, top, height * steps))).collect();
    (0..height)
        .map(|y| {
            let below = (height - 1 - y) * steps;
            filled.iter().map(|f| glyph.levels[f.unwrap_or(0).saturating_sub(below).min(steps)]).collect()
        })
        .collect()
}

fn column(points: &[Option<u64>], x: usize, width: usize) -> Option<u64> {
    let from = x * points.len() / width;
    let to = ((x + 1) * points.len() / width).max(from + 1).min(points.len());
    points.get(from..to)?.iter().flatten().max().copied()
}

/// Something above nothing is at least one step high.
fn level(value: u64, top: u64, steps: usize) -> usize {
    if value == 0 || top == 0 {
        return 0;
    }
    ((value as f64 / top as f64 * steps as f64).round() as usize).clamp(1, steps.max(1))
}

/// A round value at or above the largest point, so that the scale seldom changes.
#[must_use]
pub fn scale(points: &[Option<u64>]) -> u64 {
    let max = points.iter().flatten().max().copied().unwrap_or(0);
    let mut power: u64 = 1;
    loop {
        for tenths in [10, 15, 20, 30, 40, 60, 80] {
            // below ten there are no halves
            let Some(value) = power.checked_mul(tenths).map(|v| v / 10) else {
                return u64::MAX;
            };
            if value >= max {
                return value;
            }
        }
        power = match power.checked_mul(10) {
            Some(next) => next,
            None => return u64::MAX,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::glyph::{ASCII, UNICODE};

    #[test]
    fn heights_gaps_and_scale() {
        let points = [Some(0), Some(1), Some(50), None, Some(100)];
        assert_eq!(rows(&points, 5, 2, 100, &ASCII), ["    |", " .| |"]);
        assert_eq!(rows(&points, 10, 1, 100, &UNICODE), ["  ▁▁▄▄  ██"]);
        assert_eq!([0, 1, 3, 999, 1_000].map(|v| scale(&[Some(v)])), [1, 1, 3, 1_000, 1_000]);
        assert_eq!(scale(&[Some(u64::MAX), None]), u64::MAX);
        assert_eq!(scale(&[]), 1);
    }

    proptest! {
        #[test]
        fn any_data_fits(points in proptest::collection::vec(proptest::option::of(any::<u64>()), 0..90), width in 0usize..90, height in 0usize..6) {
            let rows = rows(&points, width, height, scale(&points), &UNICODE);
            prop_assert_eq!(rows.len(), height);
            prop_assert!(rows.iter().all(|r| r.chars().count() == width));
        }
    }
}
