//! Everything the dashboard knows: the mirror of the daemon, and where the user is.

pub mod chart;
pub mod confirm;
pub mod failures;
pub mod input;
pub mod link;
pub mod list;
pub mod log;
#[cfg(test)]
pub mod sample;
pub mod when;
pub mod wizard;

use dth_proto::{
    id::TaskName,
    time::Timestamp,
    view::{DaemonInfo, TaskDetail, TaskState, TaskView},
    watch::Mirror,
};

use self::{chart::Chart, failures::Failures, input::Input, list::List, log::Log, when::Zone, wizard::Wizard};
pub use self::{confirm::Confirm, link::Link};

/// A screen, in the order in which `Esc` leaves them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Screen {
    /// Is everything all right, how fast, when done, what failed.
    Overview,
    /// All tasks.
    Transfers,
    /// One task.
    Detail,
    /// Failed items of one task, by cause.
    Failures,
    /// What happened.
    Log,
    /// The form for a task.
    Wizard,
}

/// What lies over a screen and takes the keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// All keys of the screen; first line shown.
    Help(usize),
    /// Commands by name, and the entry under the cursor.
    Palette(Input, usize),
    /// A question before something that cannot be taken back.
    Confirm(Box<Confirm>),
    /// The filter being typed, and the text it had before.
    Filter(Input, String),
    /// One event in full.
    Record,
}

/// Where keys go: a screen, or what lies over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Nothing lies over the screen.
    Screen(Screen),
    /// Nothing lies over the last step of the form, which has no fields but the guard.
    Review,
    /// The same for a task that is changed.
    Changes,
    /// See [`Overlay::Help`].
    Help,
    /// See [`Overlay::Palette`].
    Palette,
    /// See [`Overlay::Confirm`].
    Confirm,
    /// See [`Overlay::Filter`].
    Filter,
    /// See [`Overlay::Record`].
    Record,
}

/// One line about the last action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// The line.
    pub text: String,
    /// Something did not work: stays until a key is pressed.
    pub error: bool,
    /// When it goes away by itself.
    pub until: Option<Timestamp>,
}

/// Everything known; changed only by [`crate::update::update`].
#[derive(Clone, Debug)]
pub struct Model {
    /// The daemon's address as the user wrote it.
    pub address: String,
    /// The user asked for a dashboard that changes nothing.
    pub read_only: bool,
    /// Terminal size in columns and rows.
    pub size: (u16, u16),
    /// This machine's clock at the current event.
    pub now: Timestamp,
    /// This machine's time zone.
    pub zone: Zone,
    /// The connection.
    pub link: Link,
    /// What the daemon said about itself when the connection was made.
    pub info: Option<DaemonInfo>,
    /// The daemon's state.
    pub mirror: Mirror,
    /// The mirror as it was when the user froze the screen.
    pub frozen: Option<Box<(Mirror, Timestamp)>>,
    /// When the daemon's state last changed; `None` before the first answer.
    pub data_at: Option<Timestamp>,
    /// The screens left by `Esc`, the current one last; never empty, [`Screen::Overview`] first.
    pub screens: Vec<Screen>,
    /// Over the current screen.
    pub overlay: Option<Overlay>,
    /// Tasks: cursor, marks, filter, order.
    pub list: List,
    /// The task of the detail and failures screens.
    pub task: Option<TaskName>,
    /// That task in full, as last received.
    pub detail: Option<Box<TaskDetail>>,
    /// Rates over time.
    pub chart: Chart,
    /// Failed items of `task`.
    pub failures: Failures,
    /// Events.
    pub log: Log,
    /// The form; kept while the user looks elsewhere.
    pub wizard: Wizard,
    /// The last action.
    pub toast: Option<Toast>,
    /// Rates in bits instead of bytes.
    pub bits: bool,
    /// The problem that `!` went to last.
    pub problem: Option<usize>,
}

impl Model {
    /// A dashboard before its first answer.
    #[must_use]
    pub fn new(address: String, read_only: bool, size: (u16, u16), now: Timestamp, zone: Zone) -> Self {
        Self {
            address,
            read_only,
            size,
            now,
            zone,
            link: Link::Connecting,
            info: None,
            mirror: Mirror::default(),
            frozen: None,
            data_at: None,
            screens: vec![Screen::Overview],
            overlay: None,
            list: List::default(),
            task: None,
            detail: None,
            chart: Chart::default(),
            failures: Failures::default(),
            log: Log::default(),
            wizard: Wizard::default(),
            toast: None,
            bits: false,
            problem: None,
        }
    }

    /// The current screen.
    #[must_use]
    pub fn screen(&self) -> Screen {
        self.screens.last().copied().unwrap_or(Screen::Overview)
    }

    /// Where keys go.
    #[must_use]
    pub fn place(&self) -> Place {
        match &self.overlay {
            None if self.screen() == Screen::Wizard && self.wizard.step == wizard::REVIEW => {
                if self.wizard.original.is_some() {
                    Place::Changes
                } else {
                    Place::Review
                }
            }
            None => Place::Screen(self.screen()),
            Some(Overlay::Help(_)) => Place::Help,
            Some(Overlay::Palette(..)) => Place::Palette,
            Some(Overlay::Confirm(_)) => Place::Confirm,
            Some(Overlay::Filter(..)) => Place::Filter,
            Some(Overlay::Record) => Place::Record,
        }
    }

    /// What is shown: the mirror, or the frozen one.
    #[must_use]
    pub fn shown(&self) -> &Mirror {
        self.frozen.as_ref().map_or(&self.mirror, |f| &f.0)
    }

    /// When what is shown was true.
    #[must_use]
    pub fn shown_at(&self) -> Option<Timestamp> {
        self.frozen.as_ref().map(|f| f.1).or(self.data_at)
    }

    /// The tasks of the current screen in its order: on the overview all, problems first; else as filtered and sorted.
    #[must_use]
    pub fn rows(&self) -> Vec<&TaskView> {
        match self.screen() {
            Screen::Overview => list::by_urgency(self.shown()),
            _ => self.list.rows(self.shown()),
        }
    }

    /// The task a command applies to when nothing is marked: that of the screen, or the one under the cursor.
    #[must_use]
    pub fn subject(&self) -> Option<&TaskView> {
        let name = match self.screen() {
            Screen::Detail | Screen::Failures => self.task.as_ref(),
            Screen::Log => self.log.task.as_ref(),
            _ => return self.list.under_cursor(&self.rows()),
        };
        self.mirror.tasks.get(name?)
    }

    /// The tasks a command applies to: the marked ones on the list of transfers, else the subject.
    #[must_use]
    pub fn subjects(&self) -> Vec<&TaskView> {
        if self.screen() == Screen::Transfers && !self.list.marks.is_empty() {
            return self.mirror.tasks.values().filter(|t| self.list.marks.contains(&t.name)).collect();
        }
        self.subject().into_iter().collect()
    }

    /// Rows that a list on the current screen can show at once; only for paging.
    #[must_use]
    pub fn page(&self) -> usize {
        usize::from(self.size.1).saturating_sub(8).max(1)
    }

    /// Whether this user may change anything, or why not.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn may_operate(&self) -> Result<(), &'static str> {
        if self.read_only {
            return Err("this dashboard is read-only");
        }
        match &self.link {
            Link::Up { welcome, .. } if welcome.role == "operator" => Ok(()),
            Link::Up { .. } => Err("your role is viewer: only operators change things"),
            _ => Err("no link to the daemon"),
        }
    }
}

/// A run of the task is going: bytes may move.
#[must_use]
pub fn is_going(state: TaskState) -> bool {
    matches!(state, TaskState::Running | TaskState::Stopping)
}
