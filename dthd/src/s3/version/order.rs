//! The order of versions, where a store's answer does not tell it.
//!
//! Some stores send all versions of a page and then all its delete markers, with times in whole seconds.

use super::Version;

/// Puts delete markers that come behind all versions where they belong. Where that cannot be the order of the listing, it is made from
/// keys, what is the latest, and times; elsewhere the document's order stands, for times alone do not tell it (AWS: an object of parts has the
/// time at which its upload began).
pub(in crate::s3) fn put_markers_in_place(versions: &mut [(String, Version)]) {
    let in_order = versions.windows(2).all(|pair| {
        let [(before, first), (after, second)] = pair else { return true };
        before < after || (before == after && !second.latest && first.modified >= second.modified)
    });
    if are_grouped(versions) && !in_order {
        versions
            .sort_by(|(a, one), (b, two)| a.cmp(b).then_with(|| two.latest.cmp(&one.latest)).then_with(|| two.modified.cmp(&one.modified)));
    }
}

/// The markers of a page come behind all its versions: they may belong between them.
fn are_grouped(versions: &[(String, Version)]) -> bool {
    versions.is_sorted_by_key(|(_, version)| version.marker) && versions.last().is_some_and(|(_, version)| version.marker)
}

/// The keys of a page, as it came, of which a delete marker and a version are of one time, so that nothing tells which of them is newer.
/// With how many versions and markers each has in the page.
#[must_use]
pub(in crate::s3) fn in_doubt(page: &[(String, Version)]) -> Vec<(String, usize)> {
    if !are_grouped(page) {
        return Vec::new();
    }
    let (versions, markers) = page.split_at(page.partition_point(|(_, version)| !version.marker));
    let mut keys: Vec<&String> = Vec::new();
    for (key, marker) in markers.iter().filter(|(_, marker)| !marker.latest) {
        let tie = |(other, version): &(String, Version)| other == key && !version.latest && version.modified == marker.modified;
        if keys.last() != Some(&key) && versions.iter().any(tie) {
            keys.push(key);
        }
    }
    keys.into_iter().map(|key| (key.clone(), page.iter().filter(|(other, _)| other == key).count())).collect()
}

/// Puts the versions of a key in the order of `ids`, newest first. They stay as they are if `ids` does not name them all.
pub(in crate::s3) fn put_in_order(versions: &mut [(String, Version)], key: &str, ids: &[String]) {
    let Some(begin) = versions.iter().position(|(of, _)| of == key) else { return };
    let count = versions[begin..].iter().take_while(|(of, _)| of == key).count();
    let ours = &mut versions[begin..begin + count];
    let place = |version: &Version| ids.iter().position(|id| *id == version.id);
    if ours.iter().all(|(_, version)| place(version).is_some()) {
        ours.sort_by_key(|(_, version)| place(version));
    }
}

#[cfg(test)]
mod tests {
    use dth_proto::time::Timestamp;

    use super::*;
    use crate::s3::object::ETag;

    /// `key id time`, with `m` for a marker and `!` for the latest.
    fn page(text: &str) -> Vec<(String, Version)> {
        let version = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let version = Version {
                id: words[1].to_owned(),
                latest: line.ends_with('!'),
                marker: line.contains(" m"),
                modified: Timestamp(words[2].parse().expect("a time")),
                size: 0,
                etag: ETag::default(),
                class: String::new(),
            };
            (words[0].to_owned(), version)
        };
        text.split(", ").map(version).collect()
    }

    fn ids(versions: &[(String, Version)]) -> String {
        versions.iter().map(|(_, version)| version.id.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_of_one_time_is_in_doubt() {
        for (text, wanted) in [
            // each time is another
            ("a 3 9 !, a 1 7, a 2 8 m", vec![]),
            ("a 3 9 !, a 1 8, a 2 8 m", vec![("a", 3)]),
            // the latest is known to be the first
            ("a 3 9 !, a 2 9 m", vec![]),
            ("a 1 9, a 2 9 m !", vec![]),
            ("a 3 9 !, a 1 8, b 1 8, b 0 8, a 2 8 m, b 2 8 m, b 3 9 m !", vec![("a", 3), ("b", 4)]),
            // another key's
            ("a 3 9 !, a 1 7, b 1 8 !, a 2 8 m", vec![]),
            // they come between versions: that is their place
            ("a 3 9 !, a 2 8 m, a 1 8", vec![]),
            ("a 3 9 !, a 1 8", vec![]),
        ] {
            let wanted: Vec<(String, usize)> = wanted.into_iter().map(|(key, count)| (key.to_owned(), count)).collect();
            assert_eq!(in_doubt(&page(text)), wanted, "{text}");
        }
        assert!(in_doubt(&[]).is_empty());
    }

    #[test]
    fn the_order_of_a_key_is_what_is_said() {
        let order = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let mut versions = page("a 9 1, b 3 9 !, b 1 8, b 2 8 m, c 7 1");
        put_in_order(&mut versions, "b", &order(&["3", "2", "1"]));
        assert_eq!(ids(&versions), "9 3 2 1 7");
        // not said of all
        put_in_order(&mut versions, "b", &order(&["1", "2"]));
        put_in_order(&mut versions, "d", &order(&["1"]));
        assert_eq!(ids(&versions), "9 3 2 1 7");
    }
}
