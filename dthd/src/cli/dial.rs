//! `dthd dial-stdio`: a bridge from stdin and stdout to the socket, so that ssh can carry the protocol.

use std::{io, path::Path};

use anyhow::Context;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, stdin, stdout},
    net::UnixStream,
    runtime,
};

use super::exit::Unavailable;

/// Connects to `socket` and copies both ways until the daemon ends the connection.
pub(super) fn run(socket: &Path) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build().context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let stream = UnixStream::connect(socket).await.map_err(|error| {
            Unavailable(format!("cannot reach dthd at {}: {error}; is it running? (start one with: dthd run)", socket.display()))
        })?;
        bridge(stream, stdin(), stdout()).await.context("the bridge to dthd broke")
    });
    // a thread still waits for stdin, and nothing it could read matters any more
    runtime.shutdown_background();
    result
}

/// The end of `input` becomes the end of what the daemon reads (half-close); the end of what it writes is the end of all.
async fn bridge<S>(stream: S, mut input: impl AsyncRead + Unpin, mut output: impl AsyncWrite + Unpin) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite,
{
    let (mut from_daemon, mut to_daemon) = tokio::io::split(stream);
    let up = async {
        let copied = copy(&mut input, &mut to_daemon).await;
        let closed = to_daemon.shutdown().await;
        copied.and(closed)
    };
    let down = async {
        copy(&mut from_daemon, &mut output).await?;
        output.flush().await
    };
    tokio::pin!(down);
    tokio::select! {
        // a daemon that closes first makes writing fail; what it said until then still goes out
        _ = up => down.await,
        done = &mut down => done,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[tokio::test]
    async fn the_end_of_input_reaches_the_daemon_and_answers_still_come() {
        let (daemon, stream) = duplex(64);
        let (mut typed, input) = duplex(64);
        let (output, mut shown) = duplex(64);
        let bridge = tokio::spawn(bridge(stream, input, output));
        let (mut daemon_reads, mut daemon_writes) = tokio::io::split(daemon);
        typed.write_all(b"hello").await.expect("typed");
        typed.shutdown().await.expect("end of input");
        let mut got = String::new();
        daemon_reads.read_to_string(&mut got).await.expect("read to the end");
        assert_eq!(got, "hello");
        daemon_writes.write_all(b"late answer").await.expect("written");
        daemon_writes.shutdown().await.expect("closed");
        let mut answer = String::new();
        shown.read_to_string(&mut answer).await.expect("shown");
        assert_eq!(answer, "late answer");
        bridge.await.expect("joined").expect("clean end");
    }

    #[tokio::test]
    async fn a_daemon_that_leaves_ends_the_bridge() {
        let (daemon, stream) = duplex(64);
        let (_typed, input) = duplex(64);
        let (output, _shown) = duplex(64);
        drop(daemon);
        bridge(stream, input, output).await.expect("clean end although stdin is open");
    }

    #[test]
    fn nobody_there_is_a_sentence() {
        let dir = tempfile::tempdir().expect("dir");
        let error = run(&dir.path().join("none.sock")).expect_err("nobody");
        assert_eq!(crate::cli::Exit::of(&error), crate::cli::Exit::Unavailable);
        assert!(error.to_string().contains("is it running?"), "{error}");
    }
}
