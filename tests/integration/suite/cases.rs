//! What became of each case of the suite, and whether that is what is known of the server.

use std::{collections::BTreeMap, fmt};

use dthd::s3::provider::Profile;

/// Cases that a server does not keep, by name, and why.
pub type Lost = (&'static [&'static str], &'static str);

/// The Content-Type of an object comes back, by one PutObject and by an upload in parts.
pub const CONTENT_TYPE: &str = "content type";
/// So does its own metadata.
pub const METADATA: &str = "metadata";
/// So do its tags.
pub const TAGS: &str = "tags";
/// A listing in percent-encoding has the keys as they are.
pub const ENCODING: &str = "listings in percent-encoding";
/// A listing has ETags.
pub const ETAGS: &str = "ETags in listings";
/// A read of a generation that is not there is refused.
pub const GENERATIONS: &str = "reads of one generation";
/// Uploads under way can be listed.
pub const UPLOADS: &str = "listings of uploads";
/// After a kill, an upload goes on with the parts that it has.
pub const PARTS: &str = "uploads that go on";
/// The store copies by itself.
pub const COPIES: &str = "copies by the store";
/// It can be asked whether a bucket keeps versions.
pub const VERSIONS: &str = "versions";

/// What the profile says that a store has not.
fn lost_by_profile(profile: &Profile) -> impl Iterator<Item = (&'static str, &'static str)> {
    let known = [
        (TAGS, profile.tags, "its profile has tags = false"),
        (ENCODING, profile.url_encoding, "its profile has url_encoding = false"),
        (COPIES, profile.copies, "its profile has copies = false"),
        (VERSIONS, profile.versions, "its profile has versions = false"),
    ];
    known.into_iter().filter(|(_, has, _)| !has).map(|(case, _, why)| (case, why))
}

/// What became of each case; `Err` says what was seen instead.
#[derive(Debug, Default)]
pub struct Cases(BTreeMap<String, Result<(), String>>);

impl Cases {
    /// Notes a case.
    pub fn add(&mut self, case: &str, seen: Result<(), String>) {
        assert!(self.0.insert(case.to_owned(), seen).is_none(), "{case} comes twice");
    }

    /// What is lost is what the table and the profile say, all of it and nothing else.
    pub fn are_as(&self, name: &str, profile: &Profile, table: &'static [Lost]) {
        println!("{name}\n{self}");
        let table = table.iter().flat_map(|(cases, why)| cases.iter().map(|case| (*case, *why)));
        let lost: BTreeMap<&str, &str> = table.chain(lost_by_profile(profile)).collect();
        let mut wrong = Vec::new();
        for (case, seen) in &self.0 {
            match (seen, lost.get(case.as_str())) {
                (Err(seen), None) => wrong.push(format!("{case:?} is not kept: {seen}")),
                (Ok(()), Some(why)) => wrong.push(format!("{case:?} is kept, but expected to be lost: {why}")),
                _ => {}
            }
        }
        wrong.extend(lost.keys().filter(|case| !self.0.contains_key(**case)).map(|case| format!("there is no case {case:?}")));
        assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
    }
}

impl fmt::Display for Cases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, seen) in &self.0 {
            match seen {
                Ok(()) => writeln!(f, "  kept {case:?}")?,
                Err(seen) => writeln!(f, "  lost {case:?}: {seen}")?,
            }
        }
        Ok(())
    }
}
