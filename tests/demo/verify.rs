//! The demo's proof: both stores compared object by object, byte by byte, without asking the daemon.

use std::fmt::Display;

use dth_tests::s3::{Object, Store};
use serde::Serialize;

use crate::data::Route;

/// How many differences are told in words; all are counted.
const TOLD: usize = 10;

/// What the comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Objects whose bytes were compared, one with another.
    pub compared: u64,
    /// Bytes compared.
    pub bytes: u64,
    /// Objects that differ, are missing, or should not be there, and uploads left behind.
    pub differences: u64,
    /// The first of them, in words.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Something was compared and nothing differs.
    #[must_use]
    pub fn identical(&self) -> bool {
        self.compared > 0 && self.differences == 0
    }

    fn differs(&mut self, bucket: &str, key: &str, what: impl Display) {
        self.differences += 1;
        if self.examples.len() < TOLD {
            // keys may hold control characters, which must not reach a terminal
            let key: String = key.chars().take(80).collect();
            self.examples.push(format!("{bucket}/{}: {what}", key.escape_debug()));
        }
    }

    /// Compares everything that `route` should have moved.
    pub fn add(&mut self, source: &Store, destination: &Store, route: &Route) {
        let mut arrived = destination.all(route.destination);
        for (key, original) in source.all(route.source) {
            if !key.starts_with(route.source_prefix) {
                continue;
            }
            let key = route.destination_key(&key);
            let Some(copy) = arrived.remove(&key) else {
                self.differs(route.destination, &key, "is missing");
                continue;
            };
            self.compared += 1;
            self.bytes += original.data.len();
            if let Some(what) = difference(&original, &copy) {
                self.differs(route.destination, &key, what);
            }
        }
        for key in arrived.into_keys().filter(|key| key.starts_with(route.destination_prefix)) {
            self.differs(route.destination, &key, "is at the destination only");
        }
        for upload in destination.uploads(route.destination) {
            self.differs(route.destination, &upload.key, "an upload was left behind");
        }
    }
}

fn difference(original: &Object, copy: &Object) -> Option<String> {
    let (one, two) = (&original.attributes, &copy.attributes);
    if original.data.len() != copy.data.len() {
        return Some(format!("{} bytes instead of {}", copy.data.len(), original.data.len()));
    }
    if original.data != copy.data {
        return Some("other bytes".to_owned());
    }
    if one.headers != two.headers {
        return Some(format!("headers {:?} instead of {:?}", two.headers, one.headers));
    }
    if one.metadata != two.metadata {
        return Some(format!("metadata {:?} instead of {:?}", two.metadata, one.metadata));
    }
    (one.tags != two.tags).then(|| format!("tags {:?} instead of {:?}", two.tags, one.tags))
}

#[cfg(test)]
mod tests {
    use dth_tests::s3::Data;

    use super::*;
    use crate::data::{Amount, PHOTOS, ROUTES, fill};

    fn copied() -> (Store, Store) {
        let (source, destination) = (Store::default(), Store::default());
        fill(&source, Amount { objects: 120, object_size: 500, large: &[100_000] });
        for route in ROUTES {
            for (key, object) in source.all(route.source) {
                destination.put(route.destination, &route.destination_key(&key), object);
            }
        }
        (source, destination)
    }

    fn verdict(source: &Store, destination: &Store) -> Verdict {
        let mut verdict = Verdict::default();
        ROUTES.iter().for_each(|route| verdict.add(source, destination, route));
        verdict
    }

    #[test]
    fn copies_are_identical() {
        let (source, destination) = copied();
        let all: usize = ROUTES.iter().map(|route| source.all(route.source).len()).sum();
        let verdict = verdict(&source, &destination);
        assert!(verdict.identical());
        assert_eq!(verdict.compared, all as u64);
    }

    #[test]
    fn nothing_compared_proves_nothing() {
        assert!(!verdict(&Store::default(), &Store::default()).identical());
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let (source, destination) = copied();
        let keys: Vec<String> = destination.all(PHOTOS.destination).into_keys().collect();
        let change = |key: &str, f: &dyn Fn(&mut Object)| {
            let mut object = (*destination.get(PHOTOS.destination, key).unwrap()).clone();
            f(&mut object);
            destination.put(PHOTOS.destination, key, object);
        };
        let big = keys.iter().find(|key| destination.get(PHOTOS.destination, key).unwrap().data.len() > 100).unwrap();
        change(big, &|object| object.data = object.data.corrupted(77));
        let others: Vec<&String> = keys.iter().filter(|key| *key != big).collect();
        change(others[0], &|object| object.data = Data::join([&object.data, &bytes::Bytes::from_static(b"!").into()]));
        change(others[1], &|object| drop(object.attributes.headers.insert("content-type".to_owned(), "other/type".to_owned())));
        change(others[2], &|object| object.attributes.metadata.clear());
        change(others[3], &|object| drop(object.attributes.tags.insert("t".to_owned(), "1".to_owned())));
        destination.remove(PHOTOS.destination, others[4]);
        destination.put(PHOTOS.destination, "photos/\u{1b}extra", Object::new("x"));
        let verdict = verdict(&source, &destination);
        assert_eq!(verdict.differences, 7, "{:?}", verdict.examples);
        assert!(!verdict.identical() && verdict.examples.iter().all(|line| !line.contains('\u{1b}')));
    }
}
