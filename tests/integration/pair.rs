//! Two embedded stores, a daemon that can sign for them, and a task between them.

use dth_tests::{
    daemon::Daemon,
    s3::{ACCESS_KEY, Builder, SECRET_KEY, Server},
    task::Task,
};

/// A source with the bucket `from` and a destination with the bucket `to`, both as `settings` say.
pub async fn stores_like(settings: impl Fn() -> Builder) -> (Server, Server) {
    let (source, destination) = (settings().start().await.unwrap(), settings().start().await.unwrap());
    source.store().create_bucket("from");
    destination.store().create_bucket("to");
    (source, destination)
}

/// The same for everyone.
pub async fn stores() -> (Server, Server) {
    stores_like(Server::builder).await
}

/// A daemon with the credential `embedded`, configured with `more` in front of it.
pub async fn daemon(more: &str) -> Daemon {
    let mut daemon = Daemon::prepare();
    let keys = daemon.credential("embedded", ACCESS_KEY, SECRET_KEY);
    daemon.configure(&format!("{more}\n[credentials.embedded]\ntype = \"file\"\npath = \"{}\"\n", keys.display()));
    daemon.restart().await;
    daemon
}

/// Everything in `from` to `to`, without signatures.
pub fn task(name: &str, source: &Server, destination: &Server) -> Task {
    Task::new(name, (&source.endpoint(), "from"), (&destination.endpoint(), "to"))
}

/// The same with signatures.
pub fn signed(name: &str, source: &Server, destination: &Server) -> Task {
    task(name, source, destination).at_both_ends("credential", "embedded")
}
