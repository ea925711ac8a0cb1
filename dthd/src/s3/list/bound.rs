//! A range of keys, and where it ends when that can still change.

use std::sync::{Arc, PoisonError, RwLock};

/// Keys that begin with `prefix`, come after `after` and not after `until`.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// What all keys begin with.
    pub prefix: String,
    /// The key before the first; `None`: from the beginning.
    pub after: Option<String>,
    /// The last key.
    pub until: Bound,
}

impl Range {
    /// All keys that begin with `prefix`.
    #[must_use]
    pub fn all(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..Self::default() }
    }
}

/// The last key of a range, itself included; `None`: to the end of the listing. Clones share the place: whoever splits a range
/// moves the end of its first half, and whoever lists it stops there.
#[derive(Clone, Debug, Default)]
pub struct Bound(Arc<RwLock<Option<Arc<str>>>>);

impl Bound {
    /// A bound at `key`.
    #[must_use]
    pub fn at(key: Option<&str>) -> Self {
        Self(Arc::new(RwLock::new(key.map(Arc::from))))
    }

    /// Where it is now.
    #[must_use]
    pub fn get(&self) -> Option<Arc<str>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Moves it for everyone.
    pub fn set(&self, key: Option<&str>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = key.map(Arc::from);
    }

    /// Whether a key lies behind it, so that it belongs to another range.
    #[must_use]
    pub fn excludes(&self, key: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).as_deref().is_some_and(|last| key > last)
    }

    /// Whether nothing is left behind a key.
    #[must_use]
    pub fn is_reached_by(&self, key: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).as_deref().is_some_and(|last| key >= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_shared_and_inclusive() {
        let bound = Bound::default();
        let lister = bound.clone();
        assert!(!lister.excludes("zzz") && !lister.is_reached_by("zzz"));
        bound.set(Some("m"));
        assert!(lister.is_reached_by("m") && !lister.excludes("m"));
        assert!(lister.excludes("m\0") && !lister.is_reached_by("lzzz"));
        assert_eq!(lister.get().as_deref(), Some("m"));
    }
}
