//! One image of a run: what it is called, and where it stands in the order of all.

use std::{cmp::Ordering, fmt};

use dth_proto::spec::image::name::ImageName;

use super::digest::Digest;

/// An image at the source, by tag or by digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    /// Name of its repository.
    pub repository: String,
    /// Tag, which it gets at the destination as well.
    pub tag: Option<String>,
    /// What the tag must be (the task says so) or was when it was listed; `None`: not known yet.
    pub digest: Option<Digest>,
}

impl Item {
    /// An image by its tag.
    #[must_use]
    pub fn tagged(repository: &str, tag: &str, digest: Option<Digest>) -> Self {
        Self { repository: repository.to_owned(), tag: Some(tag.to_owned()), digest }
    }

    /// An image without a tag.
    #[must_use]
    pub fn untagged(repository: &str, digest: Digest) -> Self {
        Self { repository: repository.to_owned(), tag: None, digest: Some(digest) }
    }

    /// An image as a task names it; `None`: the name is that of a whole repository.
    #[must_use]
    pub fn named(name: &ImageName) -> Option<Self> {
        let digest = name.digest.as_deref().and_then(|digest| digest.parse().ok());
        let item = Self { repository: name.repository.clone(), tag: name.tag.clone(), digest };
        (item.tag.is_some() || item.digest.is_some()).then_some(item)
    }

    /// See [`key`].
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.repository, self.tag.as_deref(), self.digest.as_ref().map(Digest::as_str))
    }

    /// What to ask the registry for: the digest if there is one, else the tag.
    #[must_use]
    pub fn reference(&self) -> &str {
        self.digest.as_ref().map(Digest::as_str).or(self.tag.as_deref()).unwrap_or_default()
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

/// The name of an image in records and checkpoints: `repository:tag`, or `repository@digest` without a tag.
///
/// No character of a repository's name is one of those from `:` to `@`. So the keys of all repositories are in byte order if
/// repositories are taken in [`order`] and the keys of each are sorted.
#[must_use]
pub fn key(repository: &str, tag: Option<&str>, digest: Option<&str>) -> String {
    match (tag, digest) {
        (Some(tag), _) => format!("{repository}:{tag}"),
        (None, Some(digest)) => format!("{repository}@{digest}"),
        (None, None) => repository.to_owned(),
    }
}

/// The repository in a key of [`key`].
#[must_use]
pub fn repository_of(key: &str) -> &str {
    key.find([':', '@']).map_or(key, |end| &key[..end])
}

/// Order of repositories in which the keys of their images are in byte order: that of their names with a `:` behind, which is not that of the
/// names (`a.b` is before `a`, `a0` behind it).
#[must_use]
pub fn order(one: &str, other: &str) -> Ordering {
    one.bytes().chain([b':']).cmp(other.bytes().chain([b':']))
}

#[cfg(test)]
mod tests {
    use dth_proto::spec::image::name::repository_problem;
    use proptest::prelude::*;

    use super::*;

    fn digest(content: &str) -> Digest {
        Digest::sha256(content.as_bytes())
    }

    #[test]
    fn keys_name_the_tag_before_the_digest() {
        let x = digest("x");
        for (item, key, reference) in [
            (Item::tagged("team/app", "1.2", None), "team/app:1.2".to_owned(), "1.2".to_owned()),
            (Item::tagged("team/app", "1.2", Some(x.clone())), "team/app:1.2".to_owned(), x.to_string()),
            (Item::untagged("team/app", x.clone()), format!("team/app@{x}"), x.to_string()),
        ] {
            assert_eq!((item.key(), item.reference().to_owned(), item.to_string()), (key.clone(), reference, key.clone()));
            assert_eq!(repository_of(&key), "team/app");
        }
    }

    #[test]
    fn a_repository_alone_is_no_item() {
        let named = |text: &str| Item::named(&text.parse().expect("a name"));
        assert_eq!(named("team/app"), None);
        assert_eq!(named("team/app:1"), Some(Item::tagged("team/app", "1", None)));
        let x = digest("x");
        assert_eq!(named(&format!("team/app@{x}")), Some(Item::untagged("team/app", x.clone())));
        assert_eq!(named(&format!("team/app:1@{x}")), Some(Item::tagged("team/app", "1", Some(x))));
    }

    #[test]
    fn repositories_are_not_in_the_order_of_their_names() {
        let mut names = ["a", "a.b", "a/b", "a-b", "a0", "a_b", "ab", "b"];
        names.sort_by(|one, other| order(one, other));
        assert_eq!(names, ["a-b", "a.b", "a/b", "a0", "a", "a_b", "ab", "b"]);
    }

    fn repository() -> impl Strategy<Value = String> {
        "[ab0]{1,2}([./_-][ab0]{1,2}){0,2}"
    }

    proptest! {
        #[test]
        fn keys_of_ordered_repositories_are_in_byte_order(
            all in prop::collection::btree_map(repository(), prop::collection::btree_set((any::<bool>(), "[A-Za-z0-9_][A-Za-z0-9._-]{0,3}"), 1..5), 1..8)
        ) {
            let mut repositories: Vec<&String> = all.keys().collect();
            repositories.sort_by(|one, other| order(one, other));
            let mut keys = Vec::new();
            for repository in repositories {
                prop_assert_eq!(repository_problem(repository), None);
                let items = all[repository].iter().map(|(tagged, text)| match tagged {
                    true => Item::tagged(repository, text, None),
                    false => Item::untagged(repository, digest(text)),
                });
                let mut own: Vec<String> = items.map(|item| item.key()).collect();
                own.sort();
                prop_assert!(own.iter().all(|key| repository_of(key) == repository));
                keys.extend(own);
            }
            prop_assert!(keys.is_sorted(), "{:?}", keys);
        }
    }
}
