//! The rules about tags.

use dth_proto::{spec::ImageOptions, time::Timestamp};
use globset::Candidate;
use regex::bytes::{Regex, RegexBuilder};
use semver::{Version, VersionReq};

use super::{SkipReason, attached, version::version};
use crate::{image::item::Item, transfer::glob::Globs};

/// `tags`, `exclude_tags`, `tag_regex`, `semver`, `newest`.
#[derive(Clone, Debug)]
pub(super) struct TagRules {
    include: Globs,
    exclude: Globs,
    regex: Option<Regex>,
    range: Option<VersionReq>,
    newest: Option<usize>,
    /// What of the above speaks of tags that belong to other images.
    attached: Attached,
}

/// What a tag says and when it was pushed; the greater, the newer.
type Rank = (Option<Version>, Option<Timestamp>);

#[derive(Clone, Debug)]
struct Attached {
    globs: Globs,
    regex: bool,
}

impl TagRules {
    /// Adds one sentence to `problems` for everything that cannot be read.
    pub(super) fn read(options: &ImageOptions, problems: &mut Vec<String>) -> Self {
        let meant: Vec<String> = options.tags.iter().filter(|glob| attached::is_meant(glob)).cloned().collect();
        Self {
            include: Globs::new("options.tags", &options.tags, problems),
            exclude: Globs::new("options.exclude_tags", &options.exclude_tags, problems),
            regex: options.tag_regex.as_deref().and_then(|text| whole(text).map_err(|problem| problems.push(problem)).ok()),
            range: options.semver.as_deref().and_then(|text| range(text).map_err(|problem| problems.push(problem)).ok()),
            newest: options.newest.map(|newest| usize::try_from(newest).unwrap_or(usize::MAX)),
            // these globs are among those above: their problems are told already
            attached: Attached {
                globs: Globs::new("options.tags", &meant, &mut Vec::new()),
                regex: options.tag_regex.as_deref().is_some_and(attached::is_meant),
            },
        }
    }

    /// Why a tag is left out, whatever other tags there are.
    pub(super) fn skip(&self, tag: &str) -> Option<SkipReason> {
        let name = Candidate::new(tag);
        if self.exclude.matches(&name) {
            return Some(SkipReason::Excluded);
        }
        let by_regex = self.regex.as_ref().map(|regex| regex.is_match(tag.as_bytes()));
        let is_meant = self.attached.globs.matches(&name) || (self.attached.regex && by_regex == Some(true));
        if attached::subject(tag).is_some() && !is_meant {
            return Some(SkipReason::Attached);
        }
        let included = (self.include.is_empty() || self.include.matches(&name))
            && by_regex.unwrap_or(true)
            && self.range.as_ref().is_none_or(|range| version(tag).is_some_and(|version| range.matches(&version)));
        (!included).then_some(SkipReason::NotIncluded)
    }

    /// Splits into those that are wanted and those that are too old, which comes down to: the highest versions before all that are none; then
    /// those pushed last before those whose time is not known; then the last by name. Images without a tag do not count.
    pub(super) fn newest(&self, candidates: Vec<(Item, Option<Timestamp>)>) -> (Vec<Item>, Vec<Item>) {
        let Some(newest) = self.newest else {
            return (candidates.into_iter().map(|(item, _)| item).collect(), Vec::new());
        };
        let (tagged, untagged): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|(item, _)| item.tag.is_some());
        let rank = |item: &Item, pushed| -> Rank { (item.tag.as_deref().and_then(version), pushed) };
        let mut ranked: Vec<(Rank, Item)> = tagged.into_iter().map(|(item, pushed)| (rank(&item, pushed), item)).collect();
        ranked.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| b.tag.cmp(&a.tag)));
        let too_old = ranked.split_off(newest.min(ranked.len()));
        let wanted = ranked.into_iter().map(|(_, item)| item).chain(untagged.into_iter().map(|(item, _)| item));
        (wanted.collect(), too_old.into_iter().map(|(_, item)| item).collect())
    }

    /// See [`super::Selection::wants_push_times`].
    pub(super) fn wants_push_times(&self) -> bool {
        self.newest.is_some() && self.range.is_none()
    }
}

/// A regular expression that matches whole tags. Tags are ASCII: Unicode's classes would only make it slow.
fn whole(text: &str) -> Result<Regex, String> {
    let build = |text: &str| RegexBuilder::new(text).unicode(false).build();
    // first as it stands: a text with unbalanced brackets must not become good by those that are put around it
    build(text).and_then(|_| build(&format!("^(?:{text})$"))).map_err(|error| {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("options.tag_regex: {text:?} is not a regular expression: {reason}; write it like \"v[0-9.]+\", globs go to options.tags")
    })
}

fn range(text: &str) -> Result<VersionReq, String> {
    VersionReq::parse(text)
        .map_err(|error| format!("options.semver: {text:?} is not a range of versions: {error}; write it like \">=1.20, <2\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::digest::Digest;

    fn rules(options: &ImageOptions) -> TagRules {
        let mut problems = Vec::new();
        let rules = TagRules::read(options, &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        rules
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn newest(number: u32, tags: &[(&str, Option<u64>)]) -> (Vec<String>, Vec<String>) {
        let rules = rules(&ImageOptions { newest: Some(number), ..ImageOptions::default() });
        let items = tags.iter().map(|(tag, pushed)| (Item::tagged("app", tag, None), pushed.map(Timestamp))).collect();
        let (wanted, too_old) = rules.newest(items);
        let tags = |items: Vec<Item>| items.into_iter().filter_map(|item| item.tag).collect();
        (tags(wanted), tags(too_old))
    }

    #[test]
    fn every_rule_has_its_edge() {
        let none = ImageOptions::default;
        let (wanted, out, excluded) = (None, Some(SkipReason::NotIncluded), Some(SkipReason::Excluded));
        let regex = |text: &str| ImageOptions { tag_regex: Some(text.to_owned()), ..none() };
        let range = |text: &str| ImageOptions { semver: Some(text.to_owned()), ..none() };
        for (options, tag, expected) in [
            (none(), "latest", wanted),
            (ImageOptions { tags: texts(&["v*", "latest"]), ..none() }, "v1.2", wanted),
            (ImageOptions { tags: texts(&["v*", "latest"]), ..none() }, "latest", wanted),
            (ImageOptions { tags: texts(&["v*", "latest"]), ..none() }, "1.2", out),
            (ImageOptions { exclude_tags: texts(&["*-rc*"]), ..none() }, "1.2-rc1", excluded),
            (ImageOptions { exclude_tags: texts(&["*-rc*"]), ..none() }, "1.2", wanted),
            (ImageOptions { exclude_tags: texts(&["*"]), tags: texts(&["a"]), ..none() }, "a", excluded),
            (regex("v[0-9]+"), "v12", wanted),
            (regex("v[0-9]+"), "v12-rc", out),
            (regex("v[0-9]+"), "xv12", out),
            (regex("a|ab"), "ab", wanted),
            (regex("^v.*$"), "v1", wanted),
            (regex(r"\d+\.\d+"), "1.25", wanted),
            (regex("(?i)LATEST"), "latest", wanted),
            (range(">=1.20, <2"), "1.20", wanted),
            (range(">=1.20, <2"), "v1.25.3", wanted),
            (range(">=1.20, <2"), "1.19.9", out),
            (range(">=1.20, <2"), "2", out),
            (range(">=1.20, <2"), "2.0.0-rc1", out),
            (range(">=1.20, <2"), "1.25-alpine", out),
            (range(">=1.20, <2"), "latest", out),
            (range("~1.25.0-alpine"), "1.25-alpine", wanted),
            (ImageOptions { tags: texts(&["v*"]), ..range("*") }, "1.2", out),
        ] {
            assert_eq!(rules(&options).skip(tag), expected, "{tag} by {options:?}");
        }
    }

    #[test]
    fn attached_tags_are_chosen_only_by_name() {
        let tag = format!("sha256-{}.sig", Digest::sha256(b"image").hex());
        let none = ImageOptions::default;
        for (options, expected) in [
            (none(), Some(SkipReason::Attached)),
            (ImageOptions { tags: texts(&["*"]), ..none() }, Some(SkipReason::Attached)),
            (ImageOptions { tags: texts(&["v*"]), ..none() }, Some(SkipReason::Attached)),
            (ImageOptions { tag_regex: Some(".*".to_owned()), ..none() }, Some(SkipReason::Attached)),
            (ImageOptions { tags: texts(&["v*", "sha256-*"]), ..none() }, None),
            (ImageOptions { tags: texts(&["*.sig"]), ..none() }, None),
            (ImageOptions { tags: texts(&["*.att"]), ..none() }, Some(SkipReason::Attached)),
            (ImageOptions { tag_regex: Some(r"sha256-.*\.sig|v.*".to_owned()), ..none() }, None),
            (ImageOptions { exclude_tags: texts(&["*.sig"]), ..none() }, Some(SkipReason::Excluded)),
        ] {
            assert_eq!(rules(&options).skip(&tag), expected, "{options:?}");
        }
    }

    #[test]
    fn newest_are_versions_then_times_then_names() {
        let of = |n, tags: &[(&str, Option<u64>)]| newest(n, tags).0;
        let plain = |tags: &[&'static str]| tags.iter().map(|&tag| (tag, None)).collect::<Vec<_>>();
        assert_eq!(of(2, &plain(&["1.9", "1.10", "1.2", "latest"])), ["1.10", "1.9"]);
        assert_eq!(of(2, &plain(&["1.0.0-rc1", "1.0.0", "0.9"])), ["1.0.0", "1.0.0-rc1"]);
        assert_eq!(of(3, &plain(&["v1", "main", "edge"])), ["v1", "main", "edge"]);
        assert_eq!(of(1, &[("1.0", Some(9)), ("2.0", Some(1))]), ["2.0"]);
        assert_eq!(of(2, &[("a", Some(3)), ("b", Some(1)), ("c", Some(2)), ("d", None)]), ["a", "c"]);
        assert_eq!(of(2, &plain(&["build-a", "build-c", "build-b"])), ["build-c", "build-b"]);
        assert_eq!(newest(9, &plain(&["a"])), (texts(&["a"]), vec![]));
        assert_eq!(newest(1, &plain(&["a", "b"])), (texts(&["b"]), texts(&["a"])));
    }

    #[test]
    fn images_without_a_tag_do_not_count_among_the_newest() {
        let rules = rules(&ImageOptions { newest: Some(1), ..ImageOptions::default() });
        let untagged = Item::untagged("app", Digest::sha256(b""));
        let (wanted, too_old) = rules.newest(vec![(untagged.clone(), None), (Item::tagged("app", "1", None), None)]);
        assert_eq!((wanted, too_old), (vec![Item::tagged("app", "1", None), untagged], vec![]));
    }

    #[test]
    fn push_times_are_wanted_only_where_they_decide() {
        let all = ImageOptions::default;
        assert!(!rules(&all()).wants_push_times());
        assert!(rules(&ImageOptions { newest: Some(1), ..all() }).wants_push_times());
        assert!(!rules(&ImageOptions { newest: Some(1), semver: Some("*".to_owned()), ..all() }).wants_push_times());
    }

    #[test]
    fn every_mistake_is_told_with_field_value_and_way_out() {
        let options = ImageOptions {
            tags: texts(&["a[", "sha256-["]),
            exclude_tags: texts(&["{b"]),
            tag_regex: Some("a)|(b".to_owned()),
            semver: Some(">=1.x.3".to_owned()),
            ..ImageOptions::default()
        };
        let mut problems = Vec::new();
        TagRules::read(&options, &mut problems);
        let begin = |n: usize, text: &str| assert!(problems[n].starts_with(text), "{problems:?}");
        assert_eq!(problems.len(), 5, "{problems:?}");
        begin(0, "options.tags: \"a[\" is not a glob: ");
        begin(1, "options.tags: \"sha256-[\" is not a glob: ");
        begin(2, "options.exclude_tags: \"{b\" is not a glob: ");
        begin(3, "options.tag_regex: \"a)|(b\" is not a regular expression: un");
        begin(4, "options.semver: \">=1.x.3\" is not a range of versions: ");
        assert!(problems[3].contains("write it like") && problems[4].contains("write it like"), "{problems:?}");
        assert!(problems.iter().all(|problem| !problem.contains('\n')), "{problems:?}");
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_for_a_rule(
            glob in "[a\\[\\]!{},*?\\\\]{0,8}", regex in "[a(|)\\[\\]^$*+?{}\\\\.]{0,8}", range in "[0-9.<>=~^*, x-]{0,8}", tag in "[a-z0-9.]{1,6}"
        ) {
            let options = ImageOptions { tags: vec![glob], tag_regex: Some(regex), semver: Some(range), ..ImageOptions::default() };
            let mut problems = Vec::new();
            let rules = TagRules::read(&options, &mut problems);
            let _ = rules.skip(&tag);
            prop_assert!(problems.iter().all(|problem| problem.starts_with("options.")), "{problems:?}");
        }

        #[test]
        fn newest_takes_so_many_and_loses_none(number in 1u32..5, tags in prop::collection::btree_set("(v?[0-9](\\.[0-9])?|[a-c]{1,2})", 0..8)) {
            let tags: Vec<(&str, Option<u64>)> = tags.iter().map(|tag| (tag.as_str(), None)).collect();
            let (mut wanted, too_old) = newest(number, &tags);
            prop_assert_eq!(wanted.len(), tags.len().min(number as usize));
            let lowest = wanted.iter().map(|tag| version(tag)).min();
            prop_assert!(too_old.iter().all(|tag| Some(version(tag)) <= lowest));
            wanted.extend(too_old);
            wanted.sort();
            prop_assert_eq!(wanted, tags.iter().map(|(tag, _)| (*tag).to_owned()).collect::<Vec<_>>());
        }
    }
}
