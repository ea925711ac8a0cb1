//! Where the rest of a range can be cut.
//!
//! The rest lies between the last key that was read and the range's end. At every place in that key, from the first where it differs
//! from the end, a greater character begins a sibling of the branch being read: `2024/05/…` has `2024/06` to `2024/09`, `2025`, and
//! so on. Which of these have keys is not known, so cuts are spread: most at the top, where siblings are large, and one at each
//! level below, so that keys which share a long beginning (`0000012345`) are cut at the right scale at once.
//!
//! All cuts are made of whole characters: byte order of UTF-8 is the order of code points.

use super::alphabet::{Alphabet, Kind};

/// Levels looked at; keys that share more differ by little.
const MOST_LEVELS: usize = 64;

/// What is left of a range.
#[derive(Clone, Copy, Debug)]
pub struct Rest<'a> {
    /// All keys begin with it, and so do the cuts.
    pub prefix: &'a str,
    /// The last key that was read.
    pub after: &'a str,
    /// The range's last key; `None`: to the end of the prefix.
    pub until: Option<&'a str>,
    /// How many bytes the first and the last key of the last page have in common: siblings below that level hold less than a page.
    pub scale: usize,
}

/// What is known of the order in which a store lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// By bytes: a cut can be anywhere.
    Bytes,
    /// Perhaps directory by directory, which brings `a/x` before `a-b`. Cuts are made only where both orders agree on what comes
    /// before: behind characters greater than `/`. Elsewhere a listing up to the cut could end early without looking wrong.
    Unknown,
}

impl Trust {
    /// Whether two neighbours of a listing show that it does not go directory by directory: that would bring them the other way
    /// round.
    #[must_use]
    pub fn is_proven_by(before: &str, after: &str) -> bool {
        let at = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
        after.as_bytes().get(at) == Some(&b'/') && before.as_bytes().get(at).is_some_and(|byte| *byte < b'/')
    }

    /// Whether a listing of the keys that begin with `prefix` may be cut behind `key`.
    #[must_use]
    pub fn allows(self, prefix: &str, key: &str) -> bool {
        key.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && (self == Self::Bytes || rest.chars().all(|c| c > '/')))
    }
}

/// How much a range can give away. Greater is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Width {
    known: bool,
    level: std::cmp::Reverse<usize>,
    siblings: usize,
}

/// Siblings at one place of the key.
struct Level {
    /// Length of what they have in common with the last key read.
    at: usize,
    /// Seen in this place of other keys behind the same character.
    known: Vec<char>,
    /// Seen elsewhere, of the same kind as the character read here.
    near: Vec<char>,
    /// Seen elsewhere.
    far: Vec<char>,
}

impl Rest<'_> {
    /// How much there is to give away; `None`: nothing is known to be.
    #[must_use]
    pub fn width(&self, alphabet: &Alphabet, trust: Trust) -> Option<Width> {
        let levels = self.levels(alphabet, trust);
        let widest = |siblings: fn(&Level) -> &[char], known: bool| {
            let level = levels.iter().find(|level| !siblings(level).is_empty())?;
            Some(Width { known, level: std::cmp::Reverse(level.at), siblings: siblings(level).len() })
        };
        widest(|level| &level.known, true).or_else(|| widest(|level| &level.near, false)).or_else(|| widest(|level| &level.far, false))
    }

    /// At most `count` keys in strict order, each between what was read and the end, neither included.
    #[must_use]
    pub fn cuts(&self, alphabet: &Alphabet, trust: Trust, count: usize) -> Vec<String> {
        let levels = self.levels(alphabet, trust);
        let mut cuts: Vec<(usize, char)> = Vec::new();
        let mut orders: Vec<fn(&Level) -> &[char]> = vec![|level| &level.known];
        if levels.iter().all(|level| level.known.is_empty()) {
            // the next sibling at every level, or at as many levels as half the cuts can pay for
            let ladder: Vec<(usize, char)> = levels.iter().filter_map(|level| Some((level.at, *level.near.first()?))).collect();
            if ladder.len() > 1 {
                cuts = evenly(&ladder, count / 2);
            }
            orders = vec![|level| &level.near, |level| &level.far];
        }
        for siblings in orders {
            for level in &levels {
                let new: Vec<(usize, char)> = siblings(level).iter().map(|c| (level.at, *c)).filter(|cut| !cuts.contains(cut)).collect();
                cuts.extend(evenly(&new, count - cuts.len()));
            }
        }
        let mut cuts: Vec<String> = cuts.into_iter().map(|(at, c)| [&self.after[..at], c.encode_utf8(&mut [0; 4])].concat()).collect();
        cuts.sort_unstable();
        cuts
    }

    /// Levels from the top with at least one sibling each, down to the scale of a page; below that, only the first.
    fn levels(&self, alphabet: &Alphabet, trust: Trust) -> Vec<Level> {
        if self.until.is_some_and(|until| until <= self.after) {
            return Vec::new();
        }
        let top = self.until.map_or(self.prefix.len(), |until| common(self.after, until).max(self.prefix.len()));
        let first = self.after[self.prefix.len()..top].chars().count();
        let mut levels = Vec::new();
        let places = self.after[top..].char_indices().map(|(at, c)| (top + at, Some(c))).chain([(self.after.len(), None)]);
        let mut before = self.after[self.prefix.len()..top].chars().next_back();
        for (place, (at, low)) in (first..).zip(places) {
            if at >= self.scale && !levels.is_empty() || levels.len() == MOST_LEVELS {
                break;
            }
            let end = self.until.filter(|_| at == top).and_then(|until| until[at..].chars().next());
            let known = alphabet.at((place, std::mem::replace(&mut before, low)), low, end);
            levels.extend(self.level(at, low, end, known, alphabet, trust));
            if trust == Trust::Unknown && low.is_some_and(|c| c <= '/') {
                break;
            }
        }
        levels
    }

    fn level(
        &self,
        at: usize,
        low: Option<char>,
        end: Option<char>,
        mut known: Vec<char>,
        alphabet: &Alphabet,
        trust: Trust,
    ) -> Option<Level> {
        // what separates words has no siblings worth a request
        let is_mark = low.is_some_and(|low| Kind::of(low) == Kind::Mark);
        known.retain(|c| !is_mark && Kind::of(*c) != Kind::Mark);
        let mut others = alphabet.anywhere(low, end);
        // the branch that the end lies in, if more than the end itself
        let branch =
            end.filter(|end| low.is_none_or(|low| low < *end) && self.until.is_some_and(|until| until.len() > at + end.len_utf8()));
        others.extend(branch);
        // behind the greatest: characters not seen yet
        if at == self.prefix.len() && self.until.is_none() {
            others.extend(others.last().copied().or(low).and_then(following));
        }
        let allowed = |c: &char| trust == Trust::Bytes || *c > '/';
        known.retain(allowed);
        others.retain(|c| allowed(c) && !known.contains(c));
        let word = |kind: Kind| !matches!(kind, Kind::Mark | Kind::Other);
        let hex = alphabet.is_hexadecimal();
        let is_near = |c: char| match low.map(Kind::of) {
            // below the key that was read: anything may come
            None => true,
            Some(low) => !is_mark && (Kind::of(c) == low || (hex && word(Kind::of(c)) && word(low))),
        };
        let (near, far): (Vec<char>, Vec<char>) = others.into_iter().partition(|c| is_near(*c));
        (!known.is_empty() || !near.is_empty() || !far.is_empty()).then_some(Level { at, known, near, far })
    }
}

/// Bytes of the beginning that two keys share, in whole characters.
#[must_use]
pub fn common(a: &str, b: &str) -> usize {
    let bytes = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    a.floor_char_boundary(bytes)
}

/// The character behind another.
fn following(c: char) -> Option<char> {
    (c..=char::MAX).nth(1)
}

/// At most `count` of the items, evenly spread.
fn evenly<T: Copy>(items: &[T], count: usize) -> Vec<T> {
    let count = count.min(items.len());
    (0..count).map(|n| items[(2 * n + 1) * items.len() / (2 * count)]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::s3::list::fake::hostile_key;

    /// What was seen of keys under a prefix.
    fn seen_below(prefix: &str, keys: &[&str]) -> Alphabet {
        let mut alphabet = Alphabet::default();
        keys.iter().for_each(|key| alphabet.see(key.strip_prefix(prefix).unwrap_or(key)));
        alphabet
    }

    fn seen(keys: &[&str]) -> Alphabet {
        seen_below("", keys)
    }

    fn rest<'a>(prefix: &'a str, first: &str, after: &'a str, until: Option<&'a str>) -> Rest<'a> {
        Rest { prefix, after, until, scale: common(first, after) }
    }

    #[test]
    fn numbers_find_their_scale_at_once() {
        let rest = rest("n/", "n/00000000", "n/00000999", None);
        let cuts = rest.cuts(&seen_below("n/", &["n/00000999"]), Trust::Bytes, 16);
        for wanted in ["n/00001", "n/0001", "n/001", "n/01"] {
            assert!(cuts.iter().any(|cut| cut.starts_with(&wanted[..wanted.len() - 1]) && cut.len() == wanted.len()), "{wanted} {cuts:?}");
        }
        assert_eq!(cuts.len(), 16);
    }

    #[test]
    fn hexadecimal_keys_are_cut_sixteen_ways() {
        let alphabet = seen(&["00041a3e-9bcd-4f07-8d26-5b8e6c7fa012"]);
        let cuts = rest("", "0000", "0041a", None).cuts(&alphabet, Trust::Bytes, 40);
        for wanted in ["1", "9", "a", "f", "01", "0f"] {
            assert!(cuts.contains(&wanted.to_owned()), "{wanted} {cuts:?}");
        }
    }

    #[test]
    fn few_cuts_are_made_where_siblings_are_large() {
        let alphabet = seen(&["2024/01/05/photo.jpg"]);
        let rest = rest("", "2024/01/05/a", "2024/01/05/p", Some("2026"));
        assert_eq!(rest.cuts(&alphabet, Trust::Bytes, 1), ["2025"]);
        assert_eq!(rest.cuts(&alphabet, Trust::Bytes, 0), Vec::<String>::new());
    }

    #[test]
    fn the_end_is_a_limit() {
        let alphabet = seen(&["ab/019"]);
        let rest = |until| rest("", "a/0", "a/5", Some(until)).cuts(&alphabet, Trust::Bytes, 99);
        assert_eq!(rest("a/8"), ["a/6", "a/7"]);
        // also into the branch of the end
        assert_eq!(rest("a/8/x"), ["a/6", "a/7", "a/8"]);
        assert_eq!(
            rest("a/6"),
            ["a/50", "a/51", "a/52", "a/53", "a/54", "a/55", "a/56", "a/57", "a/58", "a/59", "a/5a", "a/5b", "a/5/"]
                .map(str::to_owned)
                .into_iter()
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>()
        );
        assert_eq!(rest("a/5\0"), Vec::<String>::new());
    }

    #[test]
    fn a_store_of_unknown_order_is_cut_only_where_directories_agree() {
        let alphabet = seen_below("p/", &["p/a-b/c.d", "p/x", "p/5"]);
        let cuts = rest("p/", "p/a5/b", "p/a5/c", None).cuts(&alphabet, Trust::Unknown, 99);
        assert!(!cuts.is_empty() && cuts.iter().all(|cut| cut["p/".len()..].chars().all(|c| c > '/')), "{cuts:?}");
    }

    #[test]
    fn neighbours_tell_bytes_from_directories() {
        for (before, after, proven) in
            [("a-b", "a/x", true), ("a", "a/x", false), ("a/x", "a0", false), ("p/a.b", "p/a/", true), ("", "/", false)]
        {
            assert_eq!(Trust::is_proven_by(before, after), proven, "{before} {after}");
            if proven {
                assert!(before < after && walk(before) > walk(after), "{before} {after}");
            }
        }
        assert!(Trust::Unknown.allows("a/", "a/b") && !Trust::Unknown.allows("a/", "a/b/c") && Trust::Bytes.allows("a/", "a/b/c"));
        assert!(!Trust::Bytes.allows("a/", "a/") && !Trust::Bytes.allows("a/", "b"));
    }

    /// The order of a walk through directories.
    fn walk(key: &str) -> Vec<&str> {
        key.split('/').collect()
    }

    proptest! {
        #[test]
        fn cuts_lie_inside_in_order_and_are_as_many_as_asked_for_at_most(
            keys in prop::collection::vec(hostile_key(), 1..8),
            prefix in prop_oneof![Just(String::new()), hostile_key()],
            first in hostile_key(), after in hostile_key(), until in prop::option::of(hostile_key()),
            count in 0usize..40,
            known in any::<bool>(),
        ) {
            let alphabet = seen(&keys.iter().map(String::as_str).collect::<Vec<_>>());
            let (first, after) = (format!("{prefix}{first}"), format!("{prefix}{after}"));
            let until = until.map(|until| format!("{prefix}{until}"));
            let trust = if known { Trust::Bytes } else { Trust::Unknown };
            let rest = rest(&prefix, &first, &after, until.as_deref());
            let cuts = rest.cuts(&alphabet, trust, count);
            prop_assert!(cuts.len() <= count);
            prop_assert!(cuts.windows(2).all(|w| w[0] < w[1]));
            for cut in &cuts {
                prop_assert!(*cut > after && until.as_ref().is_none_or(|until| cut < until) && cut.starts_with(&prefix), "{cut:?}");
            }
            prop_assert_eq!(rest.width(&alphabet, trust).is_none(), rest.cuts(&alphabet, trust, 1).is_empty());
        }

        #[test]
        fn directories_and_bytes_agree_on_what_comes_before_a_cut(
            keys in prop::collection::vec("[a-b/.0-]{1,6}", 1..8), after in "[a-b/.0-]{0,6}", key in "[a-b/.0-]{1,6}",
        ) {
            let alphabet = seen(&keys.iter().map(String::as_str).collect::<Vec<_>>());
            for cut in rest("", &after, &after, None).cuts(&alphabet, Trust::Unknown, 20) {
                if key != cut && !key.starts_with(&cut) {
                    prop_assert_eq!(key < cut, walk(&key) < walk(&cut), "{:?} {:?}", key, cut);
                }
            }
        }
    }
}
