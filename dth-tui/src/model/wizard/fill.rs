//! From a definition to the form: so that a task can be changed in it.

use std::collections::BTreeMap;

use dth_proto::spec::{EventQueue, Job, TaskSpec, Trigger};

use super::{Engine, Field, IMAGES, Wizard, image, s3};

/// Puts values into the fields of one engine.
pub(super) struct Fill<'w> {
    fields: &'w mut [Vec<Field>; 4],
    engine: Engine,
}

impl Wizard {
    /// The form of a task that exists: filled with its definition, and meant to change it.
    #[must_use]
    pub fn of(spec: &TaskSpec) -> Self {
        let mut form = Self::default();
        let engine = match &spec.job {
            Job::S3(_) => Engine::S3,
            Job::Image(_) => Engine::Image,
        };
        let mut fill = Fill { fields: &mut form.fields, engine };
        fill.put("name", spec.name.as_str());
        fill.whole("description", &spec.description);
        fill.map("labels", &spec.labels);
        if engine == Engine::Image {
            fill.put("engine", IMAGES);
        }
        match &spec.job {
            Job::S3(job) => s3::fill(&mut fill, job),
            Job::Image(job) => image::fill(&mut fill, job),
        }
        fill.shown("limits.bandwidth", spec.limits.bandwidth.as_ref());
        fill.trigger(spec.trigger.as_ref());
        form.open_what_is_set();
        form.original = Some(Box::new(spec.clone()));
        form
    }

    /// Shows the advanced fields of each step that has some with a value.
    fn open_what_is_set(&mut self) {
        let (engine, fresh) = (self.engine(), Self::default());
        for (step, unset) in self.fields.iter_mut().zip(&fresh.fields) {
            let is_set =
                |(field, unset): (&Field, &Field)| field.advanced && field.engine == Some(engine) && field.value() != unset.value();
            if step.iter().zip(unset).any(is_set) {
                step.iter_mut().filter(|field| field.is_fold() && field.engine == Some(engine)).for_each(Field::open);
            }
        }
    }
}

impl Fill<'_> {
    fn field(&mut self, id: &str) -> Option<&mut Field> {
        let engine = self.engine;
        let mut all = self.fields.iter_mut().flatten();
        all.find(|field| field.id == id && field.engine.is_none_or(|of| of == engine))
    }

    /// A word, or a short text.
    pub(super) fn put(&mut self, id: &str, value: &str) {
        if let Some(field) = self.field(id) {
            field.put(value);
        }
    }

    /// A text that may be anything.
    pub(super) fn whole(&mut self, id: &str, value: &str) {
        if let Some(field) = self.field(id).filter(|_| !value.is_empty()) {
            field.put_whole(value);
        }
    }

    /// [`Fill::whole`] of what may not be said.
    pub(super) fn some(&mut self, id: &str, value: Option<&String>) {
        self.whole(id, value.map_or("", String::as_str));
    }

    /// A choice whose first word stands for `None`.
    pub(super) fn chosen(&mut self, id: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.put(id, value);
        }
    }

    /// A choice between yes and no whose first word stands for `None`.
    pub(super) fn flag(&mut self, id: &str, value: Option<bool>) {
        self.chosen(id, value.map(|on| if on { "yes" } else { "no" }));
    }

    /// A choice of two words, the first one for `false`.
    pub(super) fn either(&mut self, id: &str, on: bool, word: &str) {
        if on {
            self.put(id, word);
        }
    }

    /// What is written as it is shown.
    pub(super) fn shown(&mut self, id: &str, value: Option<&impl ToString>) {
        if let Some(value) = value {
            self.put(id, &value.to_string());
        }
    }

    /// Texts with commas between them.
    pub(super) fn list(&mut self, id: &str, values: &[String]) {
        if let Some(field) = self.field(id).filter(|_| !values.is_empty()) {
            field.put_parts(values);
        }
    }

    /// `name=value` with commas between them.
    pub(super) fn map(&mut self, id: &str, values: &BTreeMap<String, String>) {
        let parts: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.list(id, &parts);
    }

    fn trigger(&mut self, trigger: Option<&Trigger>) {
        match trigger {
            None => {}
            Some(Trigger::At { at }) => {
                self.put("trigger", "at");
                self.shown("trigger.value", Some(at));
            }
            Some(Trigger::Every { every }) => {
                self.put("trigger", "every");
                self.shown("trigger.value", Some(every));
            }
            Some(Trigger::Cron { cron, timezone }) => {
                self.put("trigger", "cron");
                self.whole("trigger.value", cron);
                self.some("trigger.timezone", timezone.as_ref());
            }
            Some(Trigger::Events { events }) => {
                let EventQueue { queue, region, credential, reconcile } = events;
                self.put("trigger", "events");
                self.whole("trigger.events.queue", queue);
                self.some("trigger.events.region", region.as_ref());
                self.chosen("trigger.events.credential", credential.as_deref());
                self.shown("trigger.events.reconcile", Some(reconcile).filter(|span| **span != EventQueue::a_day()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dth_proto::{
        report::Format,
        spec::{
            Archived, Compare, CreateRepository, Delete, Encryption, ImageDestination, ImageJob, ImageOptions, ImageSource, Registry,
            ReportPlace, RepositorySettings, RestoreTier, S3Destination, S3Job, S3Options, S3Source, Store, TaskLimits, Versions,
        },
        units::ByteSize,
    };

    use super::*;

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn task(job: Job, trigger: Option<Trigger>) -> TaskSpec {
        TaskSpec {
            name: "full".parse().expect("a name"),
            description: "two\nlines, with a comma ".to_owned(),
            labels: [("team".to_owned(), "photos, and more".to_owned()), ("stage".to_owned(), String::new())].into(),
            job,
            limits: TaskLimits { bandwidth: Some("200MB/s mon-fri 08:00-18:00, 800MB/s".parse().expect("a plan")) },
            trigger,
            report: Some(ReportPlace { store: store("logs", false), prefix: "dth/".to_owned(), format: Format::Csv }),
        }
    }

    fn store(bucket: &str, path_style: bool) -> Store {
        Store {
            provider: "minio".to_owned(),
            bucket: bucket.to_owned(),
            region: some("eu-west-1"),
            endpoint: some("https://minio.example.com"),
            credential: some("not-in-the-daemon"),
            path_style: Some(path_style),
        }
    }

    /// Every field says something else than what it says by default.
    fn objects() -> S3Job {
        let encryption = |kind: &str, bucket_key| Some(Encryption { kind: kind.to_owned(), key: some("a-key"), bucket_key });
        S3Job {
            source: S3Source {
                store: store("from", true),
                prefix: " spaces , and a comma ".to_owned(),
                prefixes: texts(&["a,b/", " c/ ", "d\\"]),
                prefix_list: some("s3://lists/prefixes.txt"),
                requester_pays: true,
                encryption: encryption("SSE-C", None),
            },
            destination: S3Destination {
                store: store("to", false),
                prefix: "mirror/ ".to_owned(),
                strip_prefix: "raw/".to_owned(),
                storage_class: some("keep"),
                acl: some("private"),
                encryption: encryption("aws:kms:dsse", Some(false)),
                checksum: some("SHA256"),
            },
            options: S3Options {
                compare: Compare::Checksum,
                metadata: false,
                tags: false,
                include: texts(&["**.{jpg,png}"]),
                exclude: texts(&["tmp/**", "*,v"]),
                include_regex: texts(&[r"^\d{1,3}/", r"\\,$"]),
                exclude_regex: texts(&["~$"]),
                storage_classes: texts(&["STANDARD"]),
                exclude_storage_classes: texts(&["GLACIER", "DEEP_ARCHIVE"]),
                larger_than: Some(ByteSize(1)),
                smaller_than: Some(ByteSize(5_000_000_001)),
                newer_than: "7d".parse().ok(),
                older_than: "1h30m".parse().ok(),
                delete: Delete::Mirror,
                max_deletes: Some(0),
                max_delete_percent: Some(100),
                archived: Archived::Restore,
                restore_tier: RestoreTier::Bulk,
                restore_days: Some(3),
                versions: Versions::All,
                as_of: "2026-12-01T02:00:01Z".parse().ok(),
                object_lock: true,
                mtime_metadata: some("mtime"),
                server_side_copy: false,
            },
        }
    }

    fn registry(name: &str) -> Registry {
        Registry {
            registry: name.to_owned(),
            region: some("eu-west-1"),
            account: some("123456789012"),
            endpoint: some("https://api.example.com"),
            registry_endpoint: some("https://registry.example.com"),
            credential: some("writer"),
        }
    }

    fn images() -> ImageJob {
        ImageJob {
            source: ImageSource { registry: registry("ecr"), images: texts(&["a/b:1", "c"]) },
            destination: ImageDestination {
                registry: registry("ecr"),
                prefix: "mirror/".to_owned(),
                strip_prefix: "library/".to_owned(),
                create: CreateRepository::OnPush,
                copy_settings: true,
                repository: RepositorySettings {
                    immutable_tags: Some(false),
                    tag_exclusions: texts(&["latest", "dev-*"]),
                    scan_on_push: Some(true),
                    encryption: Some(Encryption { kind: "KMS".to_owned(), key: some("arn:aws:kms:x"), bucket_key: None }),
                    lifecycle_policy: some("{\n  \"rules\": [1, 2]\n}\n"),
                    policy: some("{\"Statement\": []}"),
                    tags: [("team".to_owned(), "a=b, c".to_owned())].into(),
                },
            },
            options: ImageOptions {
                repositories: texts(&["team/*"]),
                exclude_repositories: texts(&["team/{a,b}"]),
                tags: texts(&["v*"]),
                exclude_tags: texts(&["*-rc*"]),
                tag_regex: some("v[0-9]{1,3}"),
                semver: some(">=1.20, <2"),
                newest: Some(20),
                untagged: true,
                platforms: texts(&["linux/amd64", "linux/arm64"]),
                referrers: false,
                foreign_layers: true,
            },
        }
    }

    fn triggers() -> Vec<Option<Trigger>> {
        let queue = EventQueue {
            queue: "https://sqs.eu-west-1.amazonaws.com/123456789012/events".to_owned(),
            region: some("eu-west-1"),
            credential: some("reader"),
            reconcile: "6h".parse().expect("a span"),
        };
        let short = EventQueue { region: None, credential: None, reconcile: EventQueue::a_day(), ..queue.clone() };
        vec![
            None,
            Some(Trigger::At { at: "2026-12-01T02:00:00Z".parse().expect("a time") }),
            Some(Trigger::Every { every: "90m".parse().expect("a span") }),
            Some(Trigger::Cron { cron: "0 2 * * *".to_owned(), timezone: some("Asia/Shanghai") }),
            Some(Trigger::Cron { cron: "0 2 * * *".to_owned(), timezone: None }),
            Some(Trigger::Events { events: queue }),
            Some(Trigger::Events { events: short }),
        ]
    }

    /// What the form makes of a definition, rules aside: a sample of all fields at once breaks some.
    fn round(spec: &TaskSpec) -> TaskSpec {
        let mut form = Wizard::of(spec);
        form.offer_credentials(["cn-reader"].into_iter());
        assert!(!form.is_touched() && form.original.is_some());
        let (again, mistakes) = form.read();
        assert!(mistakes.is_empty(), "{mistakes:?}");
        again.expect("a name")
    }

    #[test]
    fn no_field_is_lost_on_the_way_through_the_form() {
        for trigger in triggers() {
            for job in [Job::S3(objects()), Job::Image(images())] {
                let spec = task(job, trigger.clone());
                assert_eq!(round(&spec), spec);
            }
        }
    }

    #[test]
    fn the_examples_pass_through_the_form_unchanged() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("the examples") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a file");
            let spec = TaskSpec::from_toml("example.toml", &text).expect("a good file");
            assert_eq!(round(&spec), spec, "{}", path.display());
            assert_eq!(Wizard::of(&spec).spec(), Ok(spec), "{}", path.display());
            count += 1;
        }
        assert!(count >= 8);
    }

    #[test]
    fn what_is_set_is_seen() {
        let mut form = Wizard::of(&task(Job::S3(objects()), None));
        form.go_to(3);
        assert!(form.current().iter().any(|field| field.id == "options.versions"));
        let mut fresh = Wizard::default();
        fresh.go_to(3);
        assert!(fresh.current().iter().all(|field| !field.advanced));
        fresh.focus_on("options.as_of");
        assert_eq!(fresh.focused().map(|field| field.id), Some("options.as_of"));
        assert!(!fresh.is_touched(), "to look is not to change");
    }

    #[test]
    fn only_changes_of_what_is_written_to_are_guarded() {
        let spec = task(Job::S3(S3Job { options: S3Options::default(), ..objects() }), None);
        let mut form = Wizard::of(&spec);
        form.set("description", "other");
        form.set("source.prefix_list", "");
        form.set("source.prefixes", "");
        form.set("source.encryption.type", "by the store");
        form.set("source.encryption.key", "");
        form.set("destination.encryption.bucket_key", "as the bucket");
        assert_eq!(form.spec().map(|_| ()), Ok(()));
        assert!(form.is_touched() && form.is_guarded());
        for (id, value, before) in [("destination.bucket", "elsewhere", "to"), ("options.delete", "mirror", "never")] {
            form.set(id, value);
            assert!(!form.is_guarded(), "{id}");
            form.set(id, before);
            assert!(form.is_guarded(), "{id}");
        }
    }
}
