//! The form for a new task: five steps, their fields, and the definition they add up to.

use dth_proto::{
    check::CheckReply,
    id::TaskName,
    spec::{Compare, Encryption, Job, S3Destination, S3Job, S3Options, S3Source, Store, TaskLimits, TaskSpec, Trigger},
};

use super::input::Input;

/// The steps, in order.
pub const STEPS: [&str; 5] = ["task", "from", "to", "options", "start"];
/// Number of the last step, which holds the check, the typed bucket and the start.
pub const REVIEW: usize = 4;
/// The choice for "no credential named".
const DEFAULT_CHAIN: &str = "default chain";

/// What a field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text(Input),
    /// One of several words.
    Choice(Vec<String>, usize),
}

/// One line of the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Dotted path in a task file (`source.bucket`), or a name of the form's own.
    pub id: &'static str,
    /// What the user reads.
    pub label: &'static str,
    /// Said beside the focused field.
    pub hint: &'static str,
    /// Its value.
    pub kind: Kind,
}

/// A mistake in the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Dotted path of the field.
    pub field: String,
    /// What is wrong, and the way out.
    pub message: String,
}

/// The form.
#[derive(Clone, Debug, PartialEq)]
pub struct Wizard {
    /// Current step, from 0.
    pub step: usize,
    /// Focused field of the step, from 0.
    pub focus: usize,
    /// Fields of the first four steps.
    pub fields: [Vec<Field>; 4],
    /// The destination bucket typed as the guard.
    pub guard: Input,
    /// The daemon's check of this definition: its job id, and what it found so far.
    pub check: Option<(TaskSpec, Option<u64>, CheckReply)>,
    /// A create is under way.
    pub sending: bool,
}

fn text(id: &'static str, label: &'static str, hint: &'static str, value: &str) -> Field {
    Field { id, label, hint, kind: Kind::Text(Input::new(value)) }
}

fn choice(id: &'static str, label: &'static str, hint: &'static str, words: &[&str]) -> Field {
    Field { id, label, hint, kind: Kind::Choice(words.iter().map(|w| (*w).to_owned()).collect(), 0) }
}

impl Default for Wizard {
    fn default() -> Self {
        let kind = vec![
            text("name", "Name", "unique: A-Z a-z 0-9 . _ -", ""),
            text("description", "Description", "for people; may stay empty", ""),
            choice("engine", "Kind", "objects between S3 stores", &["s3 objects"]),
        ];
        let from = vec![
            text("source.bucket", "Bucket", "only the name", ""),
            text("source.prefix", "Prefix", "empty: all keys", ""),
            text("source.provider", "Provider", "aws, minio, seaweedfs, ..., other", "aws"),
            text("source.region", "Region", "empty: the default", ""),
            text("source.endpoint", "Endpoint", "only for other stores: https://...", ""),
            choice("source.credential", "Credential", "Left/Right: those the daemon has", &[DEFAULT_CHAIN, "anonymous"]),
            choice("source.path_style", "Addressing", "bucket in host name or in path", &["as the provider", "path", "host"]),
            choice("source.requester_pays", "Requester pays", "you pay for the reading", &["no", "yes"]),
        ];
        let to = vec![
            text("destination.bucket", "Bucket", "only the name", ""),
            text("destination.prefix", "Prefix", "put before the source key", ""),
            text("destination.strip_prefix", "Strip prefix", "taken from the source key first", ""),
            text("destination.provider", "Provider", "aws, minio, seaweedfs, ..., other", "aws"),
            text("destination.region", "Region", "empty: the default", ""),
            text("destination.endpoint", "Endpoint", "only for other stores: https://...", ""),
            choice("destination.credential", "Credential", "Left/Right: those the daemon has", &[DEFAULT_CHAIN, "anonymous"]),
            choice("destination.path_style", "Addressing", "bucket in host name or in path", &["as the provider", "path", "host"]),
            text("destination.storage_class", "Storage class", "empty: the bucket's, or: keep", ""),
            text("destination.acl", "ACL", "empty: none is sent", ""),
            choice("destination.encryption.type", "Encryption", "by the store", &["as the bucket", "AES256", "aws:kms"]),
            text("destination.encryption.key", "KMS key", "empty: the account's default key", ""),
        ];
        let options = vec![
            choice("options.compare", "Same when", "auto: recorded state, size, ETag", &["auto", "size", "etag", "newer", "always"]),
            choice("options.metadata", "Metadata", "system and user metadata", &["copy", "leave"]),
            choice("options.tags", "Tags", "object tags", &["copy", "leave"]),
            text("options.include", "Only keys", "globs, with commas; empty: all", ""),
            text("options.exclude", "Skip keys", "globs, with commas", ""),
            text("options.larger_than", "Larger than", "5MB; empty: any size", ""),
            text("options.smaller_than", "Smaller than", "5GB; empty: any size", ""),
            text("options.newer_than", "Newer than", "changed in the last 7d, 12h, ...", ""),
            text("options.older_than", "Older than", "not changed in the last 1h, ...", ""),
            text("limits.bandwidth", "Speed limit", "800MB/s, or 200MB/s 08:00-18:00, off", ""),
            choice("trigger", "Starts", "Left/Right", &["manual", "every", "cron", "at"]),
            text("trigger.value", "every/cron/at", "1h | 0 2 * * * | 2026-12-01T02:00Z", ""),
            text("trigger.timezone", "Time zone", "of cron: Asia/Shanghai; empty: UTC", ""),
        ];
        Self { step: 0, focus: 0, fields: [kind, from, to, options], guard: Input::default(), check: None, sending: false }
    }
}

impl Field {
    /// The value as text.
    #[must_use]
    pub fn value(&self) -> &str {
        match &self.kind {
            Kind::Text(input) => input.text(),
            Kind::Choice(words, at) => words.get(*at).map_or("", String::as_str),
        }
    }
}

impl Wizard {
    /// Something was typed or chosen.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        let fresh = Self::default();
        self.fields.iter().flatten().zip(fresh.fields.iter().flatten()).any(|(a, b)| a.value() != b.value()) || self.guard != fresh.guard
    }

    /// The fields of the current step; none on the last.
    #[must_use]
    pub fn current(&self) -> &[Field] {
        self.fields.get(self.step).map_or(&[], Vec::as_slice)
    }

    /// The focused field.
    pub fn focused(&mut self) -> Option<&mut Field> {
        self.fields.get_mut(self.step)?.get_mut(self.focus)
    }

    /// Moves the focus within the step, around the ends.
    pub fn move_focus(&mut self, forward: bool) {
        let len = self.current().len().max(1);
        self.focus = if forward { (self.focus + 1) % len } else { (self.focus + len - 1) % len };
    }

    /// Goes to a step.
    pub fn go_to(&mut self, step: usize) {
        self.step = step.min(REVIEW);
        self.focus = 0;
    }

    /// Offers the credentials that the daemon has, by name.
    pub fn offer_credentials<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        let mut words = vec![DEFAULT_CHAIN.to_owned(), "anonymous".to_owned()];
        words.extend(names.filter(|n| *n != "anonymous" && *n != DEFAULT_CHAIN).map(str::to_owned));
        for field in self.fields.iter_mut().flatten().filter(|f| f.id.ends_with(".credential")) {
            let old = field.value().to_owned();
            let at = words.iter().position(|w| *w == old).unwrap_or(0);
            field.kind = Kind::Choice(words.clone(), at);
        }
    }

    fn value(&self, id: &str) -> &str {
        self.fields.iter().flatten().find(|f| f.id == id).map_or("", |f| f.value().trim())
    }

    fn some(&self, id: &str) -> Option<String> {
        Some(self.value(id)).filter(|v| !v.is_empty()).map(str::to_owned)
    }

    /// The definition that the fields add up to.
    ///
    /// # Errors
    /// Every mistake: what cannot be read, and every rule of [`TaskSpec::problems`] that is broken.
    pub fn spec(&self) -> Result<TaskSpec, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let name = TaskName::new(self.value("name")).map_err(|e| mistakes.push(mistake("name", &e))).ok();
        let source = S3Source {
            store: self.store("source"),
            // a space at the end of a prefix is part of it
            prefix: self.raw("source.prefix"),
            requester_pays: self.value("source.requester_pays") == "yes",
        };
        let destination = S3Destination {
            store: self.store("destination"),
            prefix: self.raw("destination.prefix"),
            strip_prefix: self.raw("destination.strip_prefix"),
            storage_class: self.some("destination.storage_class"),
            acl: self.some("destination.acl"),
            encryption: match self.value("destination.encryption.type") {
                "as the bucket" => None,
                kind => Some(Encryption { kind: kind.to_owned(), key: self.some("destination.encryption.key") }),
            },
        };
        let options = S3Options {
            compare: match self.value("options.compare") {
                "size" => Compare::Size,
                "etag" => Compare::Etag,
                "newer" => Compare::Newer,
                "always" => Compare::Always,
                _ => Compare::Auto,
            },
            metadata: self.value("options.metadata") == "copy",
            tags: self.value("options.tags") == "copy",
            include: globs(self.value("options.include")),
            exclude: globs(self.value("options.exclude")),
            larger_than: self.parsed("options.larger_than", &mut mistakes),
            smaller_than: self.parsed("options.smaller_than", &mut mistakes),
            newer_than: self.parsed("options.newer_than", &mut mistakes),
            older_than: self.parsed("options.older_than", &mut mistakes),
        };
        let limits = TaskLimits { bandwidth: self.parsed("limits.bandwidth", &mut mistakes) };
        let trigger = self.trigger(&mut mistakes);
        let spec = name.map(|name| TaskSpec {
            name,
            description: self.value("description").to_owned(),
            labels: std::collections::BTreeMap::new(),
            job: Job::S3(S3Job { source, destination, options }),
            limits,
            trigger,
        });
        if let Some(spec) = &spec {
            mistakes.extend(spec.problems().into_iter().map(|p| Mistake { field: p.field.to_owned(), message: p.message }));
        }
        match spec {
            Some(spec) if mistakes.is_empty() => Ok(spec),
            _ => Err(mistakes),
        }
    }

    fn raw(&self, id: &str) -> String {
        self.fields.iter().flatten().find(|f| f.id == id).map_or("", |f| f.value()).to_owned()
    }

    fn store(&self, end: &str) -> Store {
        let get = |name: &str| self.some(&format!("{end}.{name}"));
        Store {
            provider: get("provider").unwrap_or_else(|| "aws".to_owned()),
            bucket: get("bucket").unwrap_or_default(),
            region: get("region"),
            endpoint: get("endpoint"),
            credential: get("credential").filter(|c| c != DEFAULT_CHAIN),
            path_style: match self.value(&format!("{end}.path_style")) {
                "path" => Some(true),
                "host" => Some(false),
                _ => None,
            },
        }
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self, id: &'static str, mistakes: &mut Vec<Mistake>) -> Option<T> {
        let text = self.some(id)?;
        text.parse().map_err(|e| mistakes.push(mistake(id, &e))).ok()
    }

    fn trigger(&self, mistakes: &mut Vec<Mistake>) -> Option<Trigger> {
        let kind = self.value("trigger");
        if kind != "manual" && self.value("trigger.value").is_empty() {
            let message = format!("is missing: say when, or choose manual instead of {kind}");
            mistakes.push(Mistake { field: "trigger.value".to_owned(), message });
            return None;
        }
        match kind {
            "every" => self.parsed("trigger.value", mistakes).map(|every| Trigger::Every { every }),
            "at" => self.parsed("trigger.value", mistakes).map(|at| Trigger::At { at }),
            "cron" => self.some("trigger.value").map(|cron| Trigger::Cron { cron, timezone: self.some("trigger.timezone") }),
            _ => None,
        }
    }

    /// The mistakes that belong to the current step; on the last step all of them.
    #[must_use]
    pub fn mistakes_here(&self) -> Vec<Mistake> {
        let mut mistakes = self.spec().err().unwrap_or_default();
        if self.step < REVIEW {
            mistakes.retain(|m| self.current().iter().any(|f| f.id == m.field));
        }
        mistakes
    }

    /// The destination bucket was typed again.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        let bucket = self.value("destination.bucket");
        !bucket.is_empty() && self.guard.text() == bucket
    }
}

fn mistake(field: &str, error: &impl std::fmt::Display) -> Mistake {
    Mistake { field: field.to_owned(), message: error.to_string() }
}

fn globs(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|g| !g.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(wizard: &mut Wizard, id: &str, value: &str) {
        let field = wizard.fields.iter_mut().flatten().find(|f| f.id == id).expect(id);
        match &mut field.kind {
            Kind::Text(input) => *input = Input::new(value),
            Kind::Choice(words, at) => *at = words.iter().position(|w| w == value).expect(value),
        }
    }

    #[test]
    fn a_filled_form_is_the_task_file_it_writes() {
        let mut wizard = Wizard::default();
        assert!(!wizard.is_touched());
        wizard.offer_credentials(["cn-reader"].into_iter());
        for (id, value) in [
            ("name", "photos"),
            ("source.bucket", "a"),
            ("source.prefix", "raw/"),
            ("source.credential", "cn-reader"),
            ("source.path_style", "path"),
            ("destination.bucket", "b"),
            ("destination.encryption.type", "aws:kms"),
            ("options.include", "*.jpg, **.png"),
            ("options.newer_than", "7d"),
            ("limits.bandwidth", "800MB/s"),
            ("trigger", "cron"),
            ("trigger.value", "0 2 * * *"),
        ] {
            set(&mut wizard, id, value);
        }
        let spec = wizard.spec().expect("a good form");
        assert_eq!(TaskSpec::from_toml("x.toml", &spec.to_toml()), Ok(spec.clone()));
        let Job::S3(job) = &spec.job else { panic!("an S3 task") };
        assert_eq!((job.source.store.credential.as_deref(), job.source.store.path_style), (Some("cn-reader"), Some(true)));
        assert_eq!(job.options.include, ["*.jpg", "**.png"]);
        wizard.guard = Input::new("b");
        assert!(wizard.is_guarded() && wizard.is_touched());
    }

    #[test]
    fn every_mistake_is_told_on_its_step() {
        let mut wizard = Wizard::default();
        set(&mut wizard, "options.larger_than", "big");
        set(&mut wizard, "trigger", "every");
        let all: Vec<_> = wizard.spec().expect_err("mistakes").into_iter().map(|m| m.field).collect();
        assert_eq!(all, ["name", "options.larger_than", "trigger.value"]);
        set(&mut wizard, "name", "x");
        wizard.go_to(1);
        assert_eq!(wizard.mistakes_here().iter().map(|m| m.field.as_str()).collect::<Vec<_>>(), ["source.bucket"]);
        assert!(!wizard.is_guarded(), "an empty bucket is no guard");
    }
}
