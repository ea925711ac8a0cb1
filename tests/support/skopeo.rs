//! skopeo, a registry client that is not ours: it fills registries and reads what arrived, without anything of this machine's own.

use std::fs;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{image::Manifest, installed};

/// skopeo with its own home, settings and temporary files.
#[derive(Debug)]
pub struct Skopeo {
    folder: TempDir,
}

impl Skopeo {
    /// Prepares its files.
    ///
    /// # Panics
    /// When there is no temporary folder.
    #[must_use]
    pub fn prepare() -> Self {
        let folder = tempfile::Builder::new().prefix("skopeo-").tempdir().expect("a temporary folder");
        for name in ["tmp", "home", "run", "registries.d"] {
            fs::create_dir(folder.path().join(name)).expect("a fresh folder can be written");
        }
        fs::write(folder.path().join("auth.json"), "{}").expect("a fresh folder can be written");
        fs::write(folder.path().join("registries.conf"), "").expect("a fresh folder can be written");
        Self { folder }
    }

    /// `skopeo COMMAND`, with plain HTTP and any image allowed at both ends. `ends`: those that the command has (`src`, `dest`; empty for
    /// a command with one).
    #[must_use]
    pub fn command(&self, command: &str, ends: &[&str], arguments: &[&str]) -> Command {
        let path = self.folder.path();
        let mut skopeo = Command::new(installed::from_debian("skopeo"));
        skopeo.env_clear().env("HOME", path.join("home")).env("XDG_RUNTIME_DIR", path.join("run"));
        skopeo.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TMPDIR", path.join("tmp"));
        skopeo.env("REGISTRY_AUTH_FILE", path.join("auth.json")).env("CONTAINERS_REGISTRIES_CONF", path.join("registries.conf"));
        skopeo.args(["--insecure-policy", "--tmpdir"]).arg(path.join("tmp"));
        skopeo.arg("--registries.d").arg(path.join("registries.d")).arg(command);
        if ends.is_empty() {
            skopeo.arg("--tls-verify=false");
        }
        skopeo.args(ends.iter().map(|end| format!("--{end}-tls-verify=false"))).args(arguments).kill_on_drop(true);
        skopeo
    }

    async fn output(mut command: Command) -> Bytes {
        let output = command.output().await.expect("skopeo starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {said}", command.as_std());
        output.stdout.into()
    }

    /// Copies an image into a registry, by way of a folder, digest for digest.
    ///
    /// # Panics
    /// When skopeo fails; with what it said.
    pub async fn push(&self, image: &Manifest, address: &str, repository: &str, tag: &str) {
        let folder = self.folder();
        image.write(folder.path()).expect("a fresh folder can be written");
        let (from, to) = (format!("dir:{}", folder.path().display()), format!("docker://{address}/{repository}:{tag}"));
        Self::output(self.command("copy", &["src", "dest"], &["--quiet", "--all", "--preserve-digests", &from, &to])).await;
    }

    /// `skopeo inspect --raw`: a manifest as the registry has it.
    ///
    /// # Panics
    /// When skopeo fails; with what it said.
    pub async fn raw(&self, address: &str, repository: &str, tag: &str) -> Bytes {
        Self::output(self.command("inspect", &[], &["--raw", &format!("docker://{address}/{repository}:{tag}")])).await
    }

    /// Copies an image out of a registry into a folder, whole and digest for digest, which reads and checks everything beneath it; the
    /// manifest that is there then.
    ///
    /// # Panics
    /// When skopeo fails; with what it said.
    pub async fn pull(&self, address: &str, repository: &str, tag: &str) -> Bytes {
        let folder = self.folder();
        let (from, to) = (format!("docker://{address}/{repository}:{tag}"), format!("dir:{}", folder.path().display()));
        Self::output(self.command("copy", &["src", "dest"], &["--quiet", "--all", "--preserve-digests", &from, &to])).await;
        fs::read(folder.path().join("manifest.json")).expect("skopeo writes the manifest").into()
    }

    /// A fresh folder.
    fn folder(&self) -> TempDir {
        tempfile::Builder::new().prefix("image-").tempdir_in(self.folder.path()).expect("a temporary folder")
    }
}
