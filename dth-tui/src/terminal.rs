//! The terminal: entering and leaving it whatever happens, and frames that are written in one piece or not at all.

use std::{
    io::{self, Write},
    panic,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicBool, Ordering},
    },
};

use crossterm::{
    clipboard::CopyToClipboard,
    cursor::Show,
    event::{DisableBracketedPaste, EnableBracketedPaste},
    execute, queue,
    terminal::{
        BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
        enable_raw_mode,
    },
};
use ratatui::{
    Frame, Terminal, TerminalOptions, Viewport,
    backend::CrosstermBackend,
    buffer::Buffer,
    layout::{Position, Rect},
};
use tokio::sync::Notify;

/// Room for a frame at first; a larger one grows it.
const FRAME_BYTES: usize = 64 * 1024;
/// Longest text sent to the clipboard, in bytes before base64: xterm and tmux drop longer sequences silently.
pub const CLIPBOARD_BYTES: usize = 56_000;

/// The terminal is ours now. Static, because a panic hook has nothing else to look at.
static ENTERED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();
/// A panic was reported.
static LOST: Notify = Notify::const_new();

/// Takes the terminal and gives it back when dropped.
#[derive(Debug)]
pub struct Guard(());

impl Guard {
    /// Raw mode, alternate screen, bracketed paste; a panic gives the terminal back before it is reported.
    ///
    /// # Errors
    /// When standard output is no terminal.
    pub fn enter() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                leave();
                LOST.notify_one();
                before(info);
            }));
        });
        enter()?;
        Ok(Self(()))
    }

    /// Gives the terminal back, stops this process as the shell would, and takes the terminal again when it goes on.
    ///
    /// # Errors
    /// When the terminal cannot be taken again.
    pub fn suspend(&self) -> io::Result<()> {
        leave();
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTSTP)?;
        enter()
    }

    /// Takes the terminal again after something else used it (`kill -STOP`, then `fg`).
    ///
    /// # Errors
    /// When the terminal cannot be taken.
    pub fn resume(&self) -> io::Result<()> {
        leave();
        enter()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    ENTERED.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// Does nothing when the terminal is not ours. Errors have nowhere to go: the terminal may be gone (SIGHUP).
fn leave() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        drop(execute!(io::stdout(), EndSynchronizedUpdate, DisableBracketedPaste, LeaveAlternateScreen, Show));
        drop(disable_raw_mode());
    }
}

/// Waits for a panic in some task, which gave the terminal back behind our back: nothing may be drawn any more.
pub async fn lost() {
    LOST.notified().await;
}

/// Holds what a frame writes until it is complete: the backend flushes in the middle of a frame, and does not give its writer
/// back, so both ends share the bytes.
#[derive(Clone, Debug)]
struct Held(Arc<Mutex<Vec<u8>>>);

impl Held {
    fn bytes(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        // bytes of a frame whose drawing panicked are dropped with the next one
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn terminal(held: Held, size: (u16, u16)) -> io::Result<Terminal<CrosstermBackend<Held>>> {
    let viewport = Viewport::Fixed(Rect::new(0, 0, size.0, size.1));
    Terminal::with_options(CrosstermBackend::new(held), TerminalOptions { viewport })
}

/// Draws frames. The size is told and never asked for, so that drawing costs no system call and works on any writer.
pub struct Painter<W: Write> {
    terminal: Terminal<CrosstermBackend<Held>>,
    held: Held,
    out: W,
    /// What the terminal shows; `None`: unknown.
    shown: Option<(Buffer, Option<Position>)>,
    /// Frames written.
    frames: u64,
}

impl<W: Write> Painter<W> {
    /// A painter for a terminal of `size` columns and rows.
    ///
    /// # Errors
    /// Of the writer.
    pub fn new(out: W, size: (u16, u16)) -> io::Result<Self> {
        let held = Held(Arc::new(Mutex::new(Vec::with_capacity(FRAME_BYTES))));
        Ok(Self { terminal: terminal(held.clone(), size)?, held, out, shown: None, frames: 0 })
    }

    /// Frames written so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Forgets what the terminal of now `size` columns and rows shows: the next frame is drawn in full. (The library's own clear and
    /// resize ask the terminal for its cursor; the answer would arrive among the keys.)
    ///
    /// # Errors
    /// Of the writer.
    pub fn forget(&mut self, size: (u16, u16)) -> io::Result<()> {
        self.terminal = terminal(self.held.clone(), size)?;
        self.shown = None;
        Ok(())
    }

    /// Draws a frame: one synchronized write, or nothing when it looks like the last one.
    ///
    /// # Errors
    /// Of the writer.
    pub fn paint(&mut self, draw: impl FnOnce(&mut Frame<'_>) -> Option<Position>) -> io::Result<()> {
        queue!(self.held, BeginSynchronizedUpdate)?;
        if self.shown.is_none() {
            queue!(self.held, Clear(ClearType::All))?;
        }
        let mut cursor = None;
        let done = self.terminal.draw(|frame| {
            cursor = draw(frame);
            if let Some(at) = cursor {
                frame.set_cursor_position(at);
            }
        })?;
        let same = self.shown.as_ref().is_some_and(|(buffer, at)| buffer == done.buffer && *at == cursor);
        if !same {
            self.shown = Some((done.buffer.clone(), cursor));
        }
        if same {
            self.held.bytes().clear();
            return Ok(());
        }
        queue!(self.held, EndSynchronizedUpdate)?;
        self.frames += 1;
        self.release()
    }

    fn release(&mut self) -> io::Result<()> {
        let mut frame = self.held.bytes();
        let sent = self.out.write_all(&frame).and_then(|()| self.out.flush());
        frame.clear();
        sent
    }

    /// Sends text to the terminal's clipboard (OSC 52), cut to what terminals take. There is no answer: whether it arrived
    /// cannot be known.
    ///
    /// # Errors
    /// Of the writer.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let end = text.floor_char_boundary(CLIPBOARD_BYTES);
        queue!(self.held, CopyToClipboard::to_clipboard_from(&text[..end]))?;
        self.release()
    }
}

#[cfg(test)]
mod tests {
    use ratatui::widgets::Paragraph;

    use super::*;

    /// Counts calls and keeps the bytes.
    #[derive(Default)]
    struct Sink(Vec<Vec<u8>>);

    impl Write for &mut Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_frame_is_one_synchronized_write_and_an_equal_one_none() {
        let mut sink = Sink::default();
        let mut painter = Painter::new(&mut sink, (20, 3)).expect("painter");
        let draw = |text: &'static str| {
            move |frame: &mut Frame<'_>| {
                frame.render_widget(Paragraph::new(text), frame.area());
                None
            }
        };
        painter.paint(draw("one")).expect("paint");
        painter.paint(draw("one")).expect("paint");
        painter.paint(draw("two")).expect("paint");
        painter.paint(draw("two")).expect("paint");
        painter.forget((20, 3)).expect("forget");
        painter.paint(draw("two")).expect("paint");
        assert_eq!(painter.frames(), 3);
        assert_eq!(sink.0.len(), 3);
        for write in &sink.0 {
            let text = String::from_utf8_lossy(write);
            assert!(text.contains("\x1b[?2026h") && text.ends_with("\x1b[?2026l"), "{text:?}");
        }
        assert!(String::from_utf8_lossy(&sink.0[2]).contains("two"), "everything is drawn again");
    }

    #[test]
    fn the_cursor_alone_is_a_change() {
        let mut sink = Sink::default();
        let mut painter = Painter::new(&mut sink, (20, 3)).expect("painter");
        for x in [1, 1, 2] {
            painter.paint(|_| Some(Position::new(x, 0))).expect("paint");
        }
        assert_eq!(painter.frames(), 2);
    }

    #[test]
    fn the_clipboard_gets_base64_cut_at_a_character() {
        let mut sink = Sink::default();
        let mut painter = Painter::new(&mut sink, (20, 3)).expect("painter");
        painter.copy("hi").expect("copy");
        painter.copy(&"写".repeat(CLIPBOARD_BYTES)).expect("copy");
        assert!(String::from_utf8_lossy(&sink.0[0]).contains("]52;c;aGk="));
        assert!(sink.0[1].len() < CLIPBOARD_BYTES * 4 / 3 + 20);
    }
}
