//! A child process that is measured: CPU, wall clock, peak memory.

use std::{
    fs,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
};

/// How often the peak of the memory is read. It only grows: what is missed is the growth of the last moment.
const LOOK: Duration = Duration::from_millis(20);

/// A running child; killed when dropped.
pub struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
    errors: JoinHandle<String>,
    peak: JoinHandle<u64>,
}

/// How it ended and what it took.
#[derive(Debug)]
pub struct Ended {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// The rest of its standard output.
    pub out: String,
    /// Its standard error.
    pub errors: String,
    /// CPU in user space, seconds.
    pub user_s: f64,
    /// CPU in the kernel, seconds.
    pub system_s: f64,
    /// Highest resident memory (VmHWM), bytes.
    pub peak: u64,
}

impl Process {
    /// Starts it. Its standard input stays open until [`Process::close`] or [`Process::end`].
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // it names a bundle for the real AWS; rclone does not start with it, and everything here is plain HTTP
        command.env_remove("AWS_CA_BUNDLE").env("AWS_EC2_METADATA_DISABLED", "true");
        let mut child = command.spawn().with_context(|| format!("cannot start {}", command.as_std().get_program().display()))?;
        let out = BufReader::new(child.stdout.take().context("a child without standard output")?);
        let mut stderr = child.stderr.take().context("a child without standard error")?;
        let errors = tokio::spawn(async move {
            let mut text = Vec::new();
            // what cannot be read any more is not needed
            let _ = stderr.read_to_end(&mut text).await;
            String::from_utf8_lossy(&text).into_owned()
        });
        let peak = tokio::spawn(watch(child.id().context("a child that has ended")?));
        Ok(Self { child, out, errors, peak })
    }

    /// The next line of its standard output, without the end.
    ///
    /// # Errors
    /// When it has closed it.
    pub async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let read = self.out.read_line(&mut line).await?;
        anyhow::ensure!(read > 0, "the process ended before it said anything");
        Ok(line.trim_end().to_owned())
    }

    /// Closes its standard input, which tells our own processes to end.
    pub fn close(&mut self) {
        self.child.stdin = None;
    }

    /// kill -9, and waits until it is gone.
    ///
    /// # Errors
    /// When the system does not say how it ended.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Waits for its end. No other child may end meanwhile: the kernel adds up the CPU of all that have been waited for.
    ///
    /// # Errors
    /// When the system does not say how it ended.
    pub async fn end(mut self) -> anyhow::Result<Ended> {
        let mut out = String::new();
        self.out.read_to_string(&mut out).await?;
        let before = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let status = self.child.wait().await?;
        let after = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        Ok(Ended {
            status,
            out,
            errors: self.errors.await?,
            user_s: seconds(after.user_time()) - seconds(before.user_time()),
            system_s: seconds(after.system_time()) - seconds(before.system_time()),
            peak: self.peak.await?,
        })
    }
}

/// The highest VmHWM that was seen until the process had ended, in bytes.
async fn watch(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/status");
    let mut look = tokio::time::interval(LOOK);
    let mut peak = 0;
    loop {
        look.tick().await;
        // a process that has ended has no such line any more
        match fs::read_to_string(&path).ok().as_deref().and_then(peak_of) {
            Some(bytes) => peak = bytes.max(peak),
            None => return peak,
        }
    }
}

/// `VmHWM:     1234 kB` in bytes.
fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_status() {
        assert_eq!(peak_of("Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 5 kB\n"), Some(1_234 * 1_024));
        assert_eq!(peak_of("Name:\tx\nState:\tZ (zombie)\n"), None);
    }

    #[tokio::test]
    async fn a_child_is_measured() {
        let script = "echo ready; read line; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; echo bad >&2; exit 3";
        let mut process = Process::start(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(process.line().await.unwrap(), "ready");
        process.close();
        let ended = process.end().await.unwrap();
        assert_eq!((ended.status.code(), ended.out.trim(), ended.errors.trim()), (Some(3), "done", "bad"));
        assert!(ended.user_s > 0.01 && ended.peak > 100_000, "{ended:?}");
    }
}
