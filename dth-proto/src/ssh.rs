//! `ssh … dthd dial-stdio` as a byte stream.

use std::{
    io,
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, ReadBuf},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::watch,
    time::timeout,
};

use crate::address::SshTarget;

/// How many of ssh's last lines are kept for the error message.
const TAIL: usize = 8;
/// How long they are waited for after ssh has closed its output.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The running ssh; dropping it ends ssh.
pub struct SshStream {
    // held for kill_on_drop
    _child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    said: SshSaid,
}

/// What ssh wrote to its standard error, last lines only.
#[derive(Clone, Debug)]
pub struct SshSaid {
    lines: Arc<Mutex<Vec<String>>>,
    /// Closed when nothing more will come.
    reading: watch::Receiver<()>,
}

impl SshSaid {
    /// Waits, but not long, for the last words of an ssh that has ended.
    pub async fn ended(&mut self) {
        // late words are left out: something that ssh has started may keep its standard error open
        let _ = timeout(LAST_WORDS, self.reading.changed()).await;
    }

    /// The lines joined by `; `, empty when ssh said nothing.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("; ")
    }

    fn push(&self, line: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL {
            lines.remove(0);
        }
        lines.push(line);
    }
}

/// The arguments ssh gets. `batch`: never ask for a password (once the screen is ours, nobody could answer).
#[must_use]
pub fn arguments(target: &SshTarget, batch: bool) -> Vec<String> {
    let mut args: Vec<String> =
        ["-T", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"].map(str::to_owned).to_vec();
    if batch {
        args.extend(["-o".to_owned(), "BatchMode=yes".to_owned()]);
    }
    if let Some(port) = target.port {
        args.extend(["-p".to_owned(), port.to_string()]);
    }
    if let Some(user) = &target.user {
        args.extend(["-l".to_owned(), user.clone()]);
    }
    // behind -- nothing is an option
    args.extend(["--".to_owned(), target.host.clone(), "dthd".to_owned(), "dial-stdio".to_owned()]);
    if let Some(socket) = &target.socket {
        args.extend(["--socket".to_owned(), quote(socket)]);
    }
    args
}

/// The remote shell reads the command line once more.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Starts ssh (`$DTH_SSH` if set, else `ssh`).
///
/// # Errors
/// When it cannot be started.
pub fn spawn(target: &SshTarget, batch: bool) -> io::Result<SshStream> {
    let program = std::env::var_os("DTH_SSH").filter(|p| !p.is_empty()).unwrap_or_else(|| "ssh".into());
    let mut child = Command::new(&program)
        .args(arguments(target, batch))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // its own process group: ^C in the terminal is for us, not for ssh
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("cannot start {}: {e}", program.to_string_lossy())))?;
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("ssh has no standard streams"));
    };
    let (end, reading) = watch::channel(());
    let said = SshSaid { lines: Arc::default(), reading };
    let keep = said.clone();
    tokio::spawn(async move {
        let _end = end;
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            keep.push(line);
        }
    });
    Ok(SshStream { _child: child, stdin, stdout, said })
}

impl SshStream {
    /// What ssh said so far, also after the stream is gone.
    #[must_use]
    pub fn said(&self) -> SshSaid {
        self.said.clone()
    }
}

impl AsyncRead for SshStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for SshStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_the_address_becomes_an_option() {
        let target = SshTarget {
            user: Some("mli".to_owned()),
            host: "xfer".to_owned(),
            port: Some(2222),
            socket: Some("/run/it's.sock".to_owned()),
        };
        let args = arguments(&target, true);
        let dashes = args.iter().position(|a| a == "--").expect("separator");
        assert_eq!(args[dashes + 1..], ["xfer", "dthd", "dial-stdio", "--socket", r"'/run/it'\''s.sock'"]);
        assert!(args[..dashes].windows(2).any(|w| w == ["-p", "2222"]));
        assert!(args[..dashes].windows(2).any(|w| w == ["-l", "mli"]));
    }
}
