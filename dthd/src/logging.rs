//! Log lines on stderr: for the journal, for people, or as JSON; the filter can change while the daemon runs.

use std::{
    fmt,
    io::{self, IsTerminal},
    panic,
};

use nix::sys::stat::fstat;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::ParseError,
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format::Writer},
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::{SubscriberInitExt, TryInitError},
};

use crate::config::LogFormat;

/// Changes the filter of the running log.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// The log cannot be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is wrong.
    #[error("the log filter is wrong: {0}")]
    Filter(#[from] ParseError),
    /// The process already logs elsewhere.
    #[error("cannot set up the log: {0}")]
    Init(#[from] TryInitError),
    /// The log is gone.
    #[error("cannot change the log filter: {0}")]
    Reload(#[from] reload::Error),
}

/// Starts logging to stderr, and sends panics there in the same form.
///
/// # Errors
/// [`LoggingError::Filter`], or [`LoggingError::Init`] when called twice.
pub fn init(filter: &str, format: LogFormat) -> Result<LogHandle, LoggingError> {
    let journal = match format {
        LogFormat::Auto => is_journal(),
        LogFormat::Journal => true,
        LogFormat::Human | LogFormat::Json => false,
    };
    let lines = match format {
        LogFormat::Json => lines(LogFormat::Json, io::stderr),
        _ if journal => lines(LogFormat::Journal, io::stderr),
        _ => lines(LogFormat::Human, io::stderr),
    };
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    panic::set_hook(Box::new(|info| tracing::error!(target: "dthd::panic", "{info}")));
    Ok(LogHandle { filter: handle })
}

impl LogHandle {
    /// Replaces the filter.
    ///
    /// # Errors
    /// [`LoggingError::Filter`]; the old filter stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), LoggingError> {
        self.filter.reload(parse(filter)?)?;
        Ok(())
    }
}

fn parse(filter: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(filter)
}

type Lines<S> = Box<dyn Layer<S> + Send + Sync>;

fn lines<S, W>(format: LogFormat, writer: W) -> Lines<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => layer.json().boxed(),
        LogFormat::Journal => layer.event_format(JournalLine).with_ansi(false).boxed(),
        LogFormat::Human | LogFormat::Auto => layer.with_ansi(io::stderr().is_terminal()).boxed(),
    }
}

/// Whether stderr is the journal's socket: `JOURNAL_STREAM` is `device:inode` of it (systemd.exec(5)).
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(io::stderr()).is_ok_and(|stat| names(&stream, stat.st_dev, stat.st_ino))
}

fn names(stream: &str, device: u64, inode: u64) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    stream.split_once(':').is_some_and(|(d, i)| number(d) == Some(device) && number(i) == Some(inode))
}

/// `<4>dthd::task: message key=value`: priority for the journal (sd-daemon(3)), no time, one line whatever the text holds.
struct JournalLine;

impl<S, N> FormatEvent<S, N> for JournalLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = String::new();
        ctx.format_fields(Writer::new(&mut fields), event)?;
        let metadata = event.metadata();
        write!(writer, "<{}>{}: ", priority(*metadata.level()), metadata.target())?;
        // a line break would begin a record without priority, an escape could drive the terminal of whoever reads
        for c in fields.chars() {
            if c.is_control() { write!(writer, "{}", c.escape_default())? } else { writer.write_char(c)? }
        }
        writeln!(writer)
    }
}

/// syslog(3) priorities.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Buffer {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).expect("UTF-8")
        }
    }

    fn written(format: LogFormat, filter: &str, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::registry().with(parse(filter).expect("filter")).with(lines(format, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, log);
        buffer.text()
    }

    #[test]
    fn the_journal_gets_priorities_and_single_lines() {
        let text = written(LogFormat::Journal, "info", || {
            tracing::error!(target: "dthd::x", task = "photos", "broken\nkey \u{1b}[31m");
            tracing::warn!(target: "dthd::x", "slow");
            tracing::info!(target: "dthd::x", "started");
            tracing::debug!(target: "dthd::x", "not shown");
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("<3>dthd::x: broken\\nkey ") && lines[0].contains("task=\"photos\""), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert_eq!(lines[1..], ["<4>dthd::x: slow", "<6>dthd::x: started"]);
    }

    #[test]
    fn json_lines_are_json() {
        let text = written(LogFormat::Json, "info", || tracing::info!(run = 7, "started"));
        let value: serde_json::Value = serde_json::from_str(text.trim()).expect("JSON");
        assert_eq!((&value["fields"]["message"], &value["fields"]["run"]), (&"started".into(), &7.into()));
    }

    #[test]
    fn the_default_filter_quiets_libraries() {
        let text = written(LogFormat::Journal, crate::config::DEFAULT_LOG_FILTER, || {
            tracing::info!(target: "tarpc::server", "a span per request");
            tracing::info!(target: "aws_smithy_runtime::client", "a line per request");
            tracing::info!(target: "dthd::task", "shown");
        });
        assert_eq!(text, "<6>dthd::task: shown\n");
    }

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        assert!(names("8:1234", 8, 1234));
        for other in ["8:1235", "9:1234", "8", "", "a:b"] {
            assert!(!names(other, 8, 1234), "{other}");
        }
    }
}
