//! The loop: one event at a time into the model, what it makes necessary out of it, and a frame when something changed.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use crossterm::event::{Event as TerminalEvent, EventStream};
use dth_proto::{address::Address, time::Timestamp, units};
use futures::StreamExt;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    effect::{Effect, Hands},
    glyph::Glyphs,
    input::Key,
    link,
    model::{Model, when::Zone},
    terminal::{self, Guard, Painter},
    theme::{ColorChoice, Theme},
    update::{Event, update},
    view,
};

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    /// The daemon.
    pub address: Address,
    /// Refuse everything that changes something.
    pub read_only: bool,
    /// Characters for bars and charts.
    pub glyphs: Glyphs,
    /// Colours.
    pub color: ColorChoice,
}

/// Events that may wait before a sender has to.
const QUEUE: usize = 64;

/// Runs the dashboard until the user leaves it; then prints a summary of two or three lines.
///
/// # Errors
/// Standard output is no terminal, or the terminal is gone. A daemon that cannot be reached is no error: the dashboard says so
/// and tries again.
pub async fn run(options: Options) -> anyhow::Result<()> {
    if !io::stdout().is_terminal() {
        anyhow::bail!("the dashboard needs a terminal: use `dth status`, `dth list` or `dth watch` without one");
    }
    let env = |name: &str| std::env::var(name).ok();
    let theme = Theme::new(options.color, options.glyphs.resolve(env), env);
    // over ssh every frame crosses the wire
    let fps = if std::env::var_os("SSH_TTY").is_some() { 1 } else { 4 };
    let size = crossterm::terminal::size().context("the terminal does not tell its size")?;
    let model = Model::new(options.address.to_string(), options.read_only, size, now(), Zone::local());

    let (sender, mut events) = mpsc::channel(QUEUE);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut resumed = signal(SignalKind::from_raw(nix::sys::signal::Signal::SIGCONT as i32))?;
    let mut resized = signal(SignalKind::window_change())?;
    let link = link::start(options.address, sender.clone());
    let hands = Hands::new(link.client.clone(), sender);
    let guard = Guard::enter().context("the terminal cannot be switched to raw mode")?;
    let mut keys = EventStream::new();
    let mut dashboard = Dashboard::new(model, theme, io::stdout(), fps)?;
    dashboard.draw()?;

    let quiet = loop {
        let wake = dashboard.wake();
        let event = tokio::select! {
            biased;
            () = terminal::lost() => anyhow::bail!("the dashboard broke down, the report above says where; transfers go on in the daemon"),
            key = keys.next() => match key {
                Some(Ok(event)) => read(event),
                // the terminal is gone
                Some(Err(_)) | None => break true,
            },
            Some(event) = events.recv() => Some(event),
            _ = terminate.recv() => break false,
            _ = interrupt.recv() => break false,
            _ = hangup.recv() => break true,
            _ = resumed.recv() => {
                guard.resume()?;
                Some(Event::Resumed)
            }
            _ = resized.recv() => crossterm::terminal::size().ok().map(|(width, height)| Event::Resize(width, height)),
            () = sleep_until(wake.unwrap_or_else(far)), if wake.is_some() => Some(Event::Wake),
        };
        let Some(event) = event else { continue };
        let mut left = false;
        for effect in dashboard.apply(event)? {
            match effect {
                Effect::Quit => left = true,
                Effect::Suspend => {
                    guard.suspend()?;
                    dashboard.redraw_all()?;
                }
                Effect::Focus(task) => link.focus(task),
                Effect::Reconnect => link.reconnect(),
                Effect::Ask(ask) => hands.ask(ask),
                Effect::Copy(_) | Effect::Draw | Effect::DrawNow | Effect::DrawAll => {}
            }
        }
        if left {
            break false;
        }
    };
    drop(guard);
    if !quiet {
        for line in summary(&dashboard.model) {
            println!("{line}");
        }
    }
    Ok(())
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3_600)
}

fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

fn read(event: TerminalEvent) -> Option<Event> {
    match event {
        TerminalEvent::Key(key) => Key::read(key).map(Event::Key),
        TerminalEvent::Paste(text) => Some(Event::Paste(text)),
        // the signal itself is listened to: crossterm loses one that comes together with a key
        _ => None,
    }
}

/// The model, what draws it, and when.
pub struct Dashboard<W: Write> {
    /// Everything known.
    pub model: Model,
    theme: Theme,
    painter: Painter<W>,
    interval: Duration,
    last: Option<Instant>,
    /// Something changed and is not drawn yet.
    stale: bool,
}

impl<W: Write> Dashboard<W> {
    /// A dashboard that writes to `out`, at most `fps` frames in a second.
    ///
    /// # Errors
    /// Of the writer.
    pub fn new(model: Model, theme: Theme, out: W, fps: u32) -> io::Result<Self> {
        let painter = Painter::new(out, model.size)?;
        Ok(Self { model, theme, painter, interval: Duration::from_secs(1) / fps.max(1), last: None, stale: true })
    }

    /// Applies an event, draws if it is due, and gives back the effects that are left to others.
    ///
    /// # Errors
    /// Of the writer.
    pub fn apply(&mut self, event: Event) -> io::Result<Vec<Effect>> {
        self.model.now = now();
        let size = self.model.size;
        let effects = update(&mut self.model, event);
        if self.model.size != size {
            self.painter.forget(self.model.size)?;
        }
        let mut at_once = false;
        for effect in &effects {
            match effect {
                Effect::Draw => self.stale = true,
                Effect::DrawNow => at_once = true,
                Effect::DrawAll => {
                    self.painter.forget(self.model.size)?;
                    at_once = true;
                }
                Effect::Copy(text) => self.painter.copy(text)?,
                _ => {}
            }
        }
        if at_once || (self.stale && self.due().is_none_or(|due| due <= Instant::now())) {
            self.draw()?;
        }
        Ok(effects)
    }

    /// When [`Event::Wake`] is wanted: the next frame, or the end of a message.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        let toast = self.model.toast.as_ref().and_then(|t| t.until).map(|until| Instant::now() + until.since(now()));
        let frame = self.stale.then(|| self.due().unwrap_or_else(Instant::now));
        [toast, frame].into_iter().flatten().min()
    }

    fn due(&self) -> Option<Instant> {
        self.last.map(|last| last + self.interval)
    }

    /// Draws now.
    ///
    /// # Errors
    /// Of the writer.
    pub fn draw(&mut self) -> io::Result<()> {
        self.last = Some(Instant::now());
        self.stale = false;
        // a hung-up ssh reports 0x0 before it is gone
        if self.model.size.0 == 0 || self.model.size.1 == 0 {
            return Ok(());
        }
        let (model, theme) = (&self.model, &self.theme);
        self.painter.paint(|frame| view::draw(frame, frame.area(), model, theme))
    }

    /// Draws everything, whatever the terminal shows.
    ///
    /// # Errors
    /// Of the writer.
    pub fn redraw_all(&mut self) -> io::Result<()> {
        self.painter.forget(self.model.size)?;
        self.draw()
    }
}

/// What is left on the normal screen: where things stand, and that they go on.
fn summary(model: &Model) -> Vec<String> {
    let address = crate::columns::clean(&model.address).into_owned();
    if model.data_at.is_none() {
        return vec![format!("dth: no answer from {address} so far; its transfers, if any, go on")];
    }
    let s = &model.mirror.summary;
    let eta = s.eta_s.map_or(String::new(), |eta| format!(", ETA {}", units::eta(eta)));
    let mut lines = vec![format!(
        "{} running at {}, {} waiting, {} paused, {} failed{eta}",
        s.running,
        units::rate(s.rate),
        s.waiting,
        s.paused,
        units::count(s.counters.failed)
    )];
    if !model.mirror.problems.is_empty() {
        lines.push(format!(
            "{}, first: {}",
            crate::columns::counted(model.mirror.problems.len() as u64, "problem"),
            crate::columns::cut(&model.mirror.problems[0].text, 100, ">")
        ));
    }
    let busy = s.running + s.waiting > 0;
    lines.push(match (model.link.is_up(), busy) {
        (true, true) => format!("transfers go on at {address}"),
        (true, false) => format!("nothing is running at {address}"),
        (false, true) => format!("the link was down; transfers go on at {address}"),
        (false, false) => format!("the link was down; nothing was running at {address}"),
    });
    lines
}

#[cfg(test)]
mod tests;
