//! Which versions of a key are still to be copied, by what both ends have of it.
//!
//! A version can only be added behind those that are there. So what was copied is found by its place in the order: where the destination
//! has copies without a gap, however many, what follows the last of them is to be copied, oldest first, and nothing else.

/// What becomes of a version of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The destination has it.
    There,
    /// It is copied, behind the ones before it.
    Copy,
    /// The destination has a later one: copied now, it would come behind that, and could become the latest.
    Superseded,
}

/// The fates of the source's versions. Both ends oldest first; `same` tells whether one of the destination is a copy of one of the source.
///
/// Copies are looked for first as one piece of the source's order, from its beginning on, and where the destination has versions of others
/// in between, one after the other.
#[must_use]
pub fn fates<S, D>(source: &[S], destination: &[D], same: impl Fn(&S, &D) -> bool) -> Vec<Fate> {
    let there = in_one_piece(source, destination, &same).unwrap_or_else(|| one_by_one(source, destination, &same));
    let behind = there.iter().rposition(|is_there| *is_there).map_or(0, |last| last + 1);
    let fate = |(n, is_there): (usize, &bool)| match (is_there, n < behind) {
        (true, _) => Fate::There,
        (false, true) => Fate::Superseded,
        (false, false) => Fate::Copy,
    };
    there.iter().enumerate().map(fate).collect()
}

/// The first place in the source's order where all of the destination's versions are copies; the destination may have lost its oldest.
fn in_one_piece<S, D>(source: &[S], destination: &[D], same: &impl Fn(&S, &D) -> bool) -> Option<Vec<bool>> {
    let length = destination.len();
    let fits = |begin: &usize| source[*begin..].iter().zip(destination).all(|(s, d)| same(s, d));
    let begin = (0..=source.len().checked_sub(length)?).find(fits)?;
    Some((0..source.len()).map(|n| (begin..begin + length).contains(&n)).collect())
}

fn one_by_one<S, D>(source: &[S], destination: &[D], same: &impl Fn(&S, &D) -> bool) -> Vec<bool> {
    let mut left = destination.iter();
    let find = |version: &S| {
        let mut ahead = left.clone();
        let found = ahead.any(|copy| same(version, copy));
        if found {
            left = ahead;
        }
        found
    };
    source.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Fate::*, *};

    fn plan(source: &str, destination: &str) -> Vec<Fate> {
        let (source, destination): (Vec<char>, Vec<char>) = (source.chars().collect(), destination.chars().collect());
        fates(&source, &destination, |s, d| s == d)
    }

    #[test]
    fn copies_are_found_by_their_order() {
        for (source, destination, wanted) in [
            ("ABC", "", vec![Copy, Copy, Copy]),
            ("ABC", "ABC", vec![There; 3]),
            ("ABC", "A", vec![There, Copy, Copy]),
            // the source has lost its oldest
            ("BCD", "ABC", vec![There, There, Copy]),
            // the destination has
            ("ABC", "C", vec![Superseded, Superseded, There]),
            ("ABC", "B", vec![Superseded, There, Copy]),
            ("ABAC", "BA", vec![Superseded, There, There, Copy]),
            // the same content again and again
            ("AAA", "AA", vec![There, There, Copy]),
            // others have written in between
            ("ABC", "xAyB", vec![There, There, Copy]),
            ("ABC", "x", vec![Copy, Copy, Copy]),
            ("", "x", vec![]),
        ] {
            assert_eq!(plan(source, destination), wanted, "{source} to {destination}");
        }
    }

    proptest! {
        /// However often it is interrupted, the copy ends with what the source has, and then nothing is left to do.
        #[test]
        fn copies_go_on_where_they_were(source in "[ABm]{0,9}", cuts in prop::collection::vec(0usize..4, 0..4)) {
            let versions: Vec<char> = source.chars().collect();
            let mut there = String::new();
            for most in cuts.into_iter().chain([usize::MAX]) {
                let fates = plan(&source, &there);
                prop_assert!(!fates.contains(&Superseded), "{} {}", source, there);
                there.extend(versions.iter().zip(fates).filter(|(_, fate)| *fate == Copy).take(most).map(|(version, _)| version));
            }
            prop_assert_eq!(&there, &source);
            prop_assert!(plan(&source, &there).iter().all(|fate| *fate == There));
        }

        /// Whatever the destination has, nothing is copied that would come before what is there, and the latest ends up there.
        #[test]
        fn nothing_is_put_behind_a_later_one(source in "[ABCm]{1,6}", there in "[ABCmxy]{0,6}") {
            let fates = plan(&source, &there);
            let last = fates.iter().rposition(|fate| *fate == There);
            for (n, fate) in fates.iter().enumerate() {
                prop_assert_eq!(*fate == Copy, last.is_none_or(|last| n > last));
            }
            prop_assert_ne!(fates.last(), Some(&Superseded));
        }
    }
}
