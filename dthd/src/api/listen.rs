//! The unix socket: opened so that no one gets in too early, accepted from without ever waiting for one client.

use std::{
    fs::{self, DirBuilder, Permissions},
    future::Future,
    io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net,
    },
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dth_proto::handshake::{self, PATIENCE};
use futures::FutureExt;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::{interval, sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::{Peer, session::SessionError};
use crate::{
    shutdown::Shutdown,
    systemd::{Progress, TICK},
};

/// Connections at the same time.
pub const MAX_CONNECTIONS: usize = 256;
/// Clients over that number that are told so at the same time.
const MAX_TURNED_AWAY: usize = 64;
/// Group members may connect; what they may do is decided by role.
const MODE: u32 = 0o660;
/// Pause after a failed accept (no file descriptors left), doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another daemon answers there.
    #[error("another daemon answers on {}; stop it first, or choose another with --socket", .0.display())]
    InUse(PathBuf),
    /// Something that is not a socket is in the way.
    #[error("{} is in the way and not a socket; remove it, or choose another with --socket", .0.display())]
    InTheWay(PathBuf),
    /// This user may not.
    #[error("this user may not listen on {}: {source}; choose another with --socket", .path.display())]
    Denied {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system failed.
    #[error("cannot listen on {}: {source}; choose another with --socket", .path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A listening socket; its file goes when this is dropped, if it is still the same one.
#[derive(Debug)]
pub struct Bound {
    listener: UnixListener,
    file: Option<SocketFile>,
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            // nothing depends on it: the next start probes and removes a dead socket
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Bound {
    /// Takes over a socket that the service manager opened; its file belongs to the service manager. `expected`: where
    /// clients look by configuration.
    ///
    /// # Errors
    /// When tokio cannot use it.
    pub fn passed(listener: net::UnixListener, expected: &Path) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        if address.as_pathname() != Some(expected) {
            tracing::warn!(passed = ?address, configured = %expected.display(), "the passed socket is not the configured one");
        }
        Ok(Self { listener: UnixListener::from_std(listener)?, file: None })
    }
}

/// Opens the socket at `path`. The process is expected to hold the state lock and to have the umask 0077, so that nobody
/// gets in between opening and the final mode.
///
/// # Errors
/// See [`ListenError`].
pub async fn bind(path: &Path) -> Result<Bound, ListenError> {
    let failed = |source: io::Error| {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ListenError::Denied { path, source },
            io::ErrorKind::AddrInUse => ListenError::InUse(path),
            _ => ListenError::Io { path, source },
        }
    };
    if let Some(parent) = path.parent().filter(|p| !p.exists()) {
        DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(failed)?;
        // whatever the umask: group members must get through to the socket
        fs::set_permissions(parent, Permissions::from_mode(0o755)).map_err(failed)?;
    }
    clear(path).await?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(failed)?;
    let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
    Ok(Bound { listener, file: Some(SocketFile { path: path.to_owned(), inode }) })
}

/// Removes a socket that nobody listens on any more.
async fn clear(path: &Path) -> Result<(), ListenError> {
    let io_error = |source| ListenError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(error)),
        Ok(meta) if !meta.file_type().is_socket() => return Err(ListenError::InTheWay(path.to_owned())),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(error)),
            _ => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // also when its queue is full or we may not connect: someone is there
        _ => Err(ListenError::InUse(path.to_owned())),
    }
}

/// Accepts until `shutdown` drains, then waits for the connections that are left (they end by themselves within seconds,
/// or at once when the stop is forced). `serve` makes the future of one connection.
pub async fn accept<F>(bound: Bound, shutdown: Shutdown, progress: Progress, serve: impl Fn(UnixStream, Peer) -> F)
where
    F: Future<Output = Result<(), SessionError>> + Send + 'static,
{
    let Bound { listener, file } = bound;
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let corners = Arc::new(Semaphore::new(MAX_TURNED_AWAY));
    let mut tick = interval(TICK);
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = tick.tick() => {
                progress.tick();
                continue;
            }
            () = shutdown.draining() => break,
        };
        let io = match accepted {
            Ok((io, _)) => io,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(pause).await;
                progress.tick();
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        };
        pause = FIRST_PAUSE;
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            // more than these are closed without a word
            if let Ok(corner) = Arc::clone(&corners).try_acquire_owned() {
                connections.spawn(async move {
                    turn_away(io).await;
                    drop(corner);
                });
            }
            continue;
        };
        let Ok(credentials) = io.peer_cred() else {
            continue;
        };
        let peer = Peer { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() };
        let connection = serve(io, peer);
        connections.spawn(async move {
            match AssertUnwindSafe(connection).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::info!(uid = peer.uid, pid = peer.pid, %error, "a client was not let in"),
                Err(_) => tracing::error!(uid = peer.uid, pid = peer.pid, "a connection broke down; see the panic before"),
            }
            drop(place);
        });
    }
    progress.finish();
    drop((listener, file));
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = shutdown.now() => {}
    }
}

/// Tells a client to come back. Its line is read first: if we closed before it is written, it would see a broken pipe and
/// never our sentence.
async fn turn_away(mut io: UnixStream) {
    let say = format!("this dthd serves {MAX_CONNECTIONS} clients already: try again later");
    let told = timeout(PATIENCE, async {
        handshake::read_line(&mut io).await?;
        handshake::write_line(&mut io, &handshake::refusal("busy", &say)).await
    });
    if !matches!(told.await, Ok(Ok(()))) {
        tracing::debug!("a client over the limit did not listen");
    }
}

#[cfg(test)]
mod tests {
    use dth_proto::handshake::HandshakeError;

    use super::*;
    use crate::systemd::Watchdog;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("run/dthd.sock");
        let bound = bind(&path).await.expect("free");
        let mode = |p: &Path| fs::metadata(p).expect("exists").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("parent"))), (MODE, 0o755));
        assert!(matches!(bind(&path).await, Err(ListenError::InUse(_))));
        drop(bound);
        assert!(!path.exists(), "removed with its listener");
        drop(net::UnixListener::bind(&path).expect("as after kill -9"));
        assert!(path.exists());
        bind(&path).await.expect("dead sockets are replaced");
    }

    #[tokio::test]
    async fn files_are_never_removed() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("precious");
        fs::write(&path, "data").expect("written");
        assert!(matches!(bind(&path).await, Err(ListenError::InTheWay(_))));
        assert_eq!(fs::read_to_string(&path).expect("there"), "data");
    }

    #[tokio::test]
    async fn a_successors_socket_is_left_alone() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("dthd.sock");
        let first = bind(&path).await.expect("free");
        fs::rename(&path, dir.path().join("moved")).expect("moved");
        let _second = bind(&path).await.expect("free again");
        drop(first);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_passed_socket_is_served_and_left_to_its_owner() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("dthd.sock");
        let bound = Bound::passed(net::UnixListener::bind(&path).expect("bound"), &path).expect("taken over");
        // queued before anyone accepts, as while a daemon restarts
        let _client = UnixStream::connect(&path).await.expect("connects");
        let shutdown = Shutdown::new();
        let (served, mut peers) = tokio::sync::mpsc::unbounded_channel();
        let serve = move |_io: UnixStream, peer: Peer| {
            let _ = served.send(peer);
            std::future::ready(Ok(()))
        };
        let server = tokio::spawn(accept(bound, shutdown.clone(), Watchdog::new().register("api"), serve));
        assert_eq!(peers.recv().await.expect("served").pid, i32::try_from(std::process::id()).ok());
        shutdown.advance();
        server.await.expect("ends");
        assert!(path.exists());
    }

    #[tokio::test]
    async fn silent_clients_do_not_block_others_and_too_many_are_told() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("dthd.sock");
        let bound = bind(&path).await.expect("free");
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let (served, mut peers) = tokio::sync::mpsc::unbounded_channel();
        let serve = move |io: UnixStream, peer: Peer| {
            let (served, stop) = (served.clone(), stop.clone());
            async move {
                let _ = served.send(peer);
                stop.draining().await;
                drop(io);
                Ok(())
            }
        };
        let watchdog = Watchdog::new();
        let server = tokio::spawn(accept(bound, shutdown.clone(), watchdog.register("api"), serve));
        let mut clients = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            clients.push(UnixStream::connect(&path).await.expect("connects"));
            let peer = peers.recv().await.expect("served");
            assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
        }
        let one_more = UnixStream::connect(&path).await.expect("connects");
        let refused = dth_proto::connect::over(one_more, "dth/test").await.err().expect("refused");
        assert!(matches!(&refused, HandshakeError::Refused { code, .. } if code == "busy"), "{refused}");
        shutdown.advance();
        server.await.expect("ends");
        assert!(!path.exists());
        assert!(watchdog.stalled().is_empty());
    }

    #[tokio::test]
    async fn a_panic_ends_one_connection_only() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("dthd.sock");
        let bound = bind(&path).await.expect("free");
        let shutdown = Shutdown::new();
        let (served, mut peers) = tokio::sync::mpsc::unbounded_channel();
        let serve = move |_io: UnixStream, _: Peer| {
            let served = served.clone();
            async move {
                let _ = served.send(());
                panic!("a defect in a handler");
            }
        };
        let server = tokio::spawn(accept(bound, shutdown.clone(), Watchdog::new().register("api"), serve));
        for _ in 0..2 {
            let _client = UnixStream::connect(&path).await.expect("connects");
            peers.recv().await.expect("served");
        }
        shutdown.advance();
        server.await.expect("the loop survives");
    }
}
