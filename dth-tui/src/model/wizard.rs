//! The form for a task, a new one or one that is changed: five steps, their fields, and the definition they add up to.

mod field;
mod fill;
mod image;
mod offer;
mod read;
mod s3;

use dth_proto::{
    check::CheckReply,
    id::TaskName,
    spec::{EventQueue, Job, TaskLimits, TaskSpec, Trigger},
};

pub use self::field::{Engine, Field, Kind};
use self::{
    field::{choice, text},
    offer::Offers,
};
use super::input::Input;

/// The steps, in order.
pub const STEPS: [&str; 5] = ["task", "from", "to", "options", "start"];
/// Number of the last step, which holds the check, the typed guard and the start.
pub const REVIEW: usize = 4;
/// The word for [`Engine::Image`] on the first step.
const IMAGES: &str = "container images";
/// What the ids of the fields of [`Trigger::Events`] begin with.
const EVENTS: &str = "trigger.events.";

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
    /// Fields of the first four steps, those of both engines: what was typed for one is not lost by looking at the other.
    pub fields: [Vec<Field>; 4],
    /// The name of the destination typed as the guard, see [`Wizard::guarded`].
    pub guard: Input,
    /// The daemon's check of this definition: its job id, and what it found so far.
    pub check: Option<(TaskSpec, Option<u64>, CheckReply)>,
    /// A create or a change is under way.
    pub sending: bool,
    /// The definition that is changed; `None`: the task is new.
    pub original: Option<Box<TaskSpec>>,
    offers: Offers,
}

impl Default for Wizard {
    fn default() -> Self {
        let task = vec![
            text("name", "Name", "unique: A-Z a-z 0-9 . _ -", ""),
            text("description", "Description", "for people; may stay empty", ""),
            text("labels", "Labels", "team=photos, stage=prod", ""),
            choice("engine", "Kind", "Left/Right: what is moved", &["s3 objects", IMAGES]),
        ];
        // what every engine has stands behind what only one has
        let last = vec![
            text("limits.bandwidth", "Speed limit", "800MB/s, or 200MB/s 08:00-18:00, off", ""),
            choice("trigger", "Starts", "Left/Right", &["manual", "every", "cron", "at", "events"]),
            text("trigger.value", "every/cron/at", "1h | 0 2 * * * | 2026-12-01T02:00Z", ""),
            text("trigger.timezone", "Time zone", "of cron: Asia/Shanghai; empty: UTC", ""),
            text("trigger.events.queue", "Queue", "SQS: https://sqs.../events", ""),
            text("trigger.events.region", "Queue's region", "empty: by its URL, or the source's", ""),
            choice("trigger.events.credential", "Queue's cred.", "Left/Right: those the daemon has", &[s3::DEFAULT_CHAIN, "anonymous"]),
            text("trigger.events.reconcile", "Full compare", "how often all is compared: 24h", ""),
        ];
        let mut fields = [task, Vec::new(), Vec::new(), Vec::new()];
        for (engine, steps) in [(Engine::S3, s3::fields()), (Engine::Image, image::fields())] {
            for (step, of) in fields.iter_mut().skip(1).zip(steps) {
                step.extend(of.into_iter().map(|field| field.of(engine)));
            }
        }
        fields[3].extend(last);
        Self { step: 0, focus: 0, fields, guard: Input::default(), check: None, sending: false, original: None, offers: Offers::default() }
    }
}

impl Wizard {
    /// Something was typed or chosen.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        let fresh = self.original.as_deref().map_or_else(Self::default, Self::of);
        let mut both = self.fields.iter().flatten().zip(fresh.fields.iter().flatten());
        both.any(|(a, b)| !a.is_fold() && a.value() != b.value()) || self.guard != fresh.guard
    }

    /// What the task moves.
    #[must_use]
    pub fn engine(&self) -> Engine {
        // the first step has no fields of one engine only
        let chosen = self.fields[0].iter().find(|f| f.id == "engine").map_or("", Field::value);
        if chosen == IMAGES { Engine::Image } else { Engine::S3 }
    }

    /// The fields of a step that the chosen engine has, in order.
    fn of_step(&self, step: usize) -> impl Iterator<Item = &Field> {
        let engine = self.engine();
        self.fields.get(step).into_iter().flatten().filter(move |f| f.engine.is_none_or(|e| e == engine))
    }

    fn all(&self) -> impl Iterator<Item = &Field> {
        (0..self.fields.len()).flat_map(|step| self.of_step(step))
    }

    /// The fields of the current step that are seen; none on the last.
    #[must_use]
    pub fn current(&self) -> Vec<&Field> {
        self.of_step(self.step).filter(|field| self.is_seen(field)).collect()
    }

    fn is_seen(&self, field: &Field) -> bool {
        let is_open = || self.of_step(self.step).any(Field::is_open);
        (!field.advanced || is_open()) && (!field.id.starts_with(EVENTS) || self.value("trigger") == "events")
    }

    /// The focused field.
    pub fn focused(&mut self) -> Option<&mut Field> {
        let (engine, id) = (self.engine(), self.current().get(self.focus)?.id);
        let fields = self.fields.get_mut(self.step)?;
        fields.iter_mut().find(|f| f.id == id && f.engine.is_none_or(|e| e == engine))
    }

    /// Puts the focus on a field of the current step, and shows it if it is hidden.
    pub fn focus_on(&mut self, id: &str) {
        if self.of_step(self.step).any(|field| field.id == id && field.advanced) {
            let (step, engine) = (self.step, self.engine());
            self.fields[step].iter_mut().filter(|field| field.is_fold() && field.engine == Some(engine)).for_each(Field::open);
        }
        if let Some(at) = self.current().iter().position(|field| field.id == id) {
            self.focus = at;
        }
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
        let names: Vec<&str> = names.filter(|n| *n != "anonymous").collect();
        for field in self.fields.iter_mut().flatten().filter(|f| f.id.ends_with(".credential")) {
            let old = field.value().to_owned();
            let Kind::Choice(words, _) = &mut field.kind else { continue };
            // the first word means that none is named
            words.truncate(1);
            words.push("anonymous".to_owned());
            let more: Vec<_> = names.iter().filter(|n| **n != words[0]).map(|n| (*n).to_owned()).collect();
            words.extend(more);
            let words = std::mem::take(words);
            field.kind = Kind::Choice(words, 0);
            // also one that the daemon does not have: what a task names is not changed in silence
            field.put(&old);
        }
    }

    /// The definition that the fields add up to.
    ///
    /// # Errors
    /// Every mistake: what cannot be read, and every rule of [`TaskSpec::problems`] that is broken.
    pub fn spec(&self) -> Result<TaskSpec, Vec<Mistake>> {
        let (spec, mut mistakes) = self.read();
        if let Some(spec) = &spec {
            mistakes.extend(spec.problems().into_iter().map(|p| Mistake { field: self.field_of(p.field).to_owned(), message: p.message }));
        }
        match spec {
            Some(spec) if mistakes.is_empty() => Ok(spec),
            _ => Err(mistakes),
        }
    }

    /// What can be read, and what cannot; `None`: the name cannot.
    fn read(&self) -> (Option<TaskSpec>, Vec<Mistake>) {
        let mut mistakes = Vec::new();
        let name = TaskName::new(self.value("name")).map_err(|e| mistakes.push(mistake("name", &e))).ok();
        let labels = self.map("labels", &mut mistakes);
        let job = match self.engine() {
            Engine::S3 => Job::S3(s3::job(self, &mut mistakes)),
            Engine::Image => Job::Image(image::job(self, &mut mistakes)),
        };
        let limits = TaskLimits { bandwidth: self.parsed("limits.bandwidth", &mut mistakes) };
        let trigger = self.trigger(&mut mistakes);
        let description = self.some("description").unwrap_or_default();
        // reports go where the definition sends them: the form has no fields for it
        let report = self.original.as_ref().and_then(|original| original.report.clone());
        (name.map(|name| TaskSpec { name, description, labels, job, limits, trigger, report }), mistakes)
    }

    /// The field that a problem is shown at: the one of this path, or of a whole table (`destination.repository`) the one that was filled.
    fn field_of<'p>(&self, path: &'p str) -> &'p str {
        if self.all().any(|f| f.id == path) {
            return path;
        }
        let inside = |f: &&Field| f.id.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        self.all().filter(inside).find(|f| f.is_set()).or_else(|| self.all().find(inside)).map_or(path, |f| f.id)
    }

    fn trigger(&self, mistakes: &mut Vec<Mistake>) -> Option<Trigger> {
        let kind = self.value("trigger");
        if kind == "events" {
            return Some(Trigger::Events { events: self.events(mistakes) });
        }
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

    fn events(&self, mistakes: &mut Vec<Mistake>) -> EventQueue {
        EventQueue {
            queue: self.some("trigger.events.queue").unwrap_or_default(),
            region: self.some("trigger.events.region"),
            credential: self.chosen("trigger.events.credential").map(str::to_owned),
            reconcile: self.parsed("trigger.events.reconcile", mistakes).unwrap_or_else(EventQueue::a_day),
        }
    }

    /// The mistakes that belong to the current step; on the last step all of them.
    #[must_use]
    pub fn mistakes_here(&self) -> Vec<Mistake> {
        let mut mistakes = self.spec().err().unwrap_or_default();
        if self.step < REVIEW {
            mistakes.retain(|m| self.of_step(self.step).any(|f| f.id == m.field));
        }
        mistakes
    }

    /// What of the destination must be typed before anything starts: what it is called (`bucket`, `registry`, `region`), and the text.
    #[must_use]
    pub fn guarded(&self) -> (&'static str, String) {
        match self.engine() {
            Engine::S3 => ("bucket", self.value("destination.bucket").to_owned()),
            Engine::Image => {
                let registry = image::registry(self, "destination");
                let what = if registry.is_ecr() && registry.ecr_region().is_some() { "region" } else { "registry" };
                (what, registry.place())
            }
        }
    }

    /// The destination was typed again, or need not be.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        let (_, place) = self.guarded();
        !self.needs_guard() || (!place.is_empty() && self.guard.text() == place)
    }

    /// Whether the destination must be typed: not for a change that goes where the task went before, and deletes nothing that it did not
    /// delete before.
    #[must_use]
    pub fn needs_guard(&self) -> bool {
        let Some(original) = &self.original else { return true };
        self.spec().is_ok_and(|spec| place_of(&spec.job) != place_of(&original.job) || (spec.deletes() && !original.deletes()))
    }

    /// Fills a field of the chosen engine, for tests.
    #[cfg(test)]
    pub(crate) fn set(&mut self, id: &str, value: &str) {
        let engine = self.engine();
        let mut fields = self.fields.iter_mut().flatten().filter(|f| f.engine.is_none_or(|e| e == engine));
        fields.find(|f| f.id == id).expect(id).put(value);
    }
}

/// Where a task puts things.
fn place_of(job: &Job) -> String {
    match job {
        Job::S3(job) => format!("{:?} {}", job.destination.store, job.destination.prefix),
        Job::Image(job) => format!("{:?} {}", job.destination.registry, job.destination.prefix),
    }
}

fn mistake(field: &str, error: &impl std::fmt::Display) -> Mistake {
    Mistake { field: field.to_owned(), message: error.to_string() }
}

#[cfg(test)]
mod tests;
