//! Keys that cut a listing evenly, for the next time it is read.

/// Keys held at most while sampling.
const MOST_HELD: usize = 512;
/// Keys kept for the next time at most.
pub const MOST_KEPT: usize = 255;
/// Pages that a part should at least have: a shorter one is not worth a request of its own.
const PAGES_PER_PART: usize = 4;

/// Every so many-th page's last key, of any number of pages, in bounded memory.
#[derive(Clone, Debug)]
pub struct Sample {
    keys: Vec<String>,
    /// One page of so many is held.
    stride: usize,
    pages: usize,
}

impl Default for Sample {
    fn default() -> Self {
        Self { keys: Vec::new(), stride: 1, pages: 0 }
    }
}

impl Sample {
    /// A full page ended with this key. Pages of different ranges may come in any order.
    pub fn page(&mut self, last: &str) {
        if self.pages.is_multiple_of(self.stride) {
            self.keys.push(last.to_owned());
        }
        self.pages += 1;
        if self.keys.len() > MOST_HELD {
            let mut place = 0;
            self.keys.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.stride *= 2;
        }
    }

    /// At most [`MOST_KEPT`] keys in strict order that cut the pages seen into parts of about equal size.
    #[must_use]
    pub fn cuts(mut self) -> Vec<String> {
        self.keys.sort_unstable();
        self.keys.dedup();
        let wanted = (self.pages / PAGES_PER_PART).min(MOST_KEPT);
        let count = self.keys.len();
        let mut cuts: Vec<String> = (1..=wanted).filter_map(|n| self.keys.get(n * count / (wanted + 1)).cloned()).collect();
        cuts.dedup();
        cuts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_pages_is_cut_evenly() {
        for pages in [0, 1, 3, 4, 7, 8, 100, 1_000, 100_000_usize] {
            let mut sample = Sample::default();
            // as two ranges would deliver them
            for n in (0..pages).step_by(2).chain((1..pages).step_by(2)) {
                sample.page(&format!("{n:06}"));
                assert!(sample.keys.len() <= MOST_HELD);
            }
            let cuts = sample.cuts();
            assert!(cuts.len() <= MOST_KEPT && cuts.len() >= (pages / 5).min(200), "{} of {pages}", cuts.len());
            assert!(cuts.windows(2).all(|w| w[0] < w[1]));
            let places: Vec<usize> = cuts.iter().map(|key| key.parse().expect("a number")).collect();
            let parts = [0].into_iter().chain(places.iter().copied()).zip(places.iter().copied().chain([pages]));
            let even = pages / (cuts.len() + 1);
            for (from, to) in parts {
                assert!(to - from <= 3 * even + 8, "{from}..{to} of {pages} with {even} wanted");
            }
        }
    }
}
