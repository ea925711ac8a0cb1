//! Every command in README.md is known here with its proof: run by this test, by tests/run, or what stands in for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use dth_tests::{
    daemon::Daemon,
    installed,
    s3::{Object, Server},
};

/// Lines of the README's `sh` blocks.
fn commands() -> Vec<String> {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let mut commands = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside && !line.is_empty() => commands.push(line.to_owned()),
            _ => {}
        }
    }
    commands
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Where `dthd` and `dth` are.
fn binaries() -> PathBuf {
    installed::from_cargo("dthd").parent().unwrap().to_owned()
}

/// How a command of the README is proven.
enum Proof {
    /// `tests/run` runs it, or is it.
    Runner,
    /// The fixture does the same: building, the path, starting the daemon.
    Fixture,
    /// Run here, with these exit codes.
    Here(&'static [i32]),
    /// Run here against another root: installing must not touch this machine.
    Installed,
    /// Needs the service manager: the unit it names is checked instead.
    Unit,
    /// Run by the test of ssh, through a stand-in.
    Ssh,
    /// Run by the test of dth-bench, at tiny sizes.
    Bench,
    /// Run by the test of events, which has a queue.
    Events,
}

fn proof(command: &str) -> Option<Proof> {
    Some(match command {
        "cargo run --release --bin dth-demo" | "cargo run --release --bin dth-demo -- --headless" | "./tests/run" => Proof::Runner,
        "cargo build --release -p dthd -p dth-tui" | "export PATH=\"$PWD/target/release:$PATH\"" | "dthd run &" => Proof::Fixture,
        "sudo config/systemd/install target/release" => Proof::Installed,
        "sudo systemctl enable --now dthd" => Proof::Unit,
        "dth --host ssh://mli@xfer-bj-01" => Proof::Ssh,
        "dth setup-events photos --policy" => Proof::Events,
        _ if command.starts_with("cargo run --release --bin dth-bench -- ") => Proof::Bench,
        // nothing failed, so there is nothing to retry
        "dth retry first-task" => Proof::Here(&[1]),
        _ if command.starts_with("dth ") || command.starts_with("dthd ") => Proof::Here(&[0]),
        _ => return None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_has_its_proof() {
    let source = Server::builder().anonymous(false).access_key("AKIDREADME", "readme-secret").start().await.unwrap();
    source.store().create_bucket("acme-source");
    source.store().create_bucket("acme-destination");
    for n in 0..20 {
        source.store().put("acme-source", &format!("photos/{n}.jpg"), Object::new(vec![7; 1000 + n]));
    }
    let mut daemon = Daemon::prepare();
    daemon.environment("AWS_ENDPOINT_URL_S3", &source.endpoint());
    daemon.environment("AWS_ACCESS_KEY_ID", "AKIDREADME");
    daemon.environment("AWS_SECRET_ACCESS_KEY", "readme-secret");
    daemon.environment("AWS_REGION", "us-east-1");
    daemon.restart().await;
    let path = format!("{}:{}", binaries().display(), std::env::var("PATH").unwrap());
    let (socket, state) = (daemon.socket(), daemon.state());
    let shell = |command: &str| {
        Command::new("bash")
            .args(["-c", command])
            .current_dir(root())
            .env("PATH", &path)
            .env("DTHD_SOCKET", &socket)
            .env("DTHD_STATE", &state)
            .env_remove("DTH_HOST")
            .output()
            .unwrap()
    };
    let mut offline = Vec::new();
    for command in commands() {
        match proof(&command).unwrap_or_else(|| panic!("README.md has a command that nothing proves: {command}")) {
            Proof::Runner => {
                let runner = fs::read_to_string(root().join("tests/run")).unwrap();
                let wanted = command.replace("cargo run", "cargo run --quiet").replace("./tests/run", "#!/usr/bin/env bash");
                assert!(runner.contains(&wanted), "tests/run does not run {command}");
            }
            Proof::Fixture | Proof::Ssh | Proof::Bench | Proof::Events => {}
            Proof::Here(codes) if command.starts_with("dthd state") => offline.push((command, codes)),
            Proof::Here(codes) => {
                let output = shell(&command);
                assert!(output.status.code().is_some_and(|c| codes.contains(&c)), "{command}: {output:?}");
            }
            Proof::Installed => {
                let folder = tempfile::tempdir().unwrap();
                let install = format!("DESTDIR={} config/systemd/install {}", folder.path().display(), binaries().display());
                let output = shell(&install);
                assert!(output.status.success(), "{install}: {output:?}");
                for file in
                    ["usr/bin/dthd", "usr/bin/dth", "usr/lib/systemd/system/dthd.service", "etc/dth/dthd.toml", "usr/share/man/man1/dth.1"]
                {
                    assert!(folder.path().join(file).is_file(), "{file} was not installed");
                }
            }
            Proof::Unit => assert!(root().join("config/systemd/dthd.service").is_file()),
        }
    }
    let copied = source.store().all("acme-destination");
    assert_eq!(copied.len(), 20);
    // the state commands are for a daemon that is down
    daemon.kill();
    for (command, codes) in offline {
        let backup = tempfile::tempdir().unwrap();
        let output = shell(&command.replace("/var/backups/dth", &backup.path().join("dth").display().to_string()));
        assert!(output.status.code().is_some_and(|c| codes.contains(&c)), "{command}: {output:?}");
    }
}
