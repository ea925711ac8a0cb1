//! Free TCP ports for servers that must be told theirs.

use std::{
    collections::BTreeSet,
    io,
    net::TcpListener,
    sync::{Mutex, PoisonError},
};

/// Ports this process has handed out, so that two servers that start at the same time do not get the same.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// `N` ports of 127.0.0.1 that are free now, below 50,000 so that adding 10,000 gives a port too (SeaweedFS derives its gRPC
/// ports that way when they are not given).
///
/// # Errors
/// When the system has none.
pub fn free<const N: usize>() -> io::Result<[u16; N]> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ports = [0; N];
    // held until all are found, so that they differ
    let mut held = Vec::new();
    let mut found = 0;
    while found < N {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        if port < 50_000 && taken.insert(port) {
            ports[found] = port;
            found += 1;
        }
        held.push(listener);
    }
    Ok(ports)
}
