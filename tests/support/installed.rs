//! Where the programs are that tests start: those `tests/run` installed, and those cargo built.

use std::{
    env,
    path::{Path, PathBuf},
};

/// A program of the Python environment that `tests/run` makes: `weed`, `moto_server`, `python`.
///
/// # Panics
/// When it is not there: a test that needs it must not pass without it.
#[must_use]
pub fn from_venv(program: &str) -> PathBuf {
    let path = venv().join("bin").join(program);
    assert!(path.is_file(), "{} is missing: run ./tests/run, which installs it", path.display());
    path
}

fn venv() -> PathBuf {
    let set = env::var_os("DTH_TESTS_VENV").map(PathBuf::from);
    let venv = set.or_else(|| {
        let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        Some(env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home)?.join("dth-tests/venv"))
    });
    venv.unwrap_or_default()
}

/// A program that `tests/run` installs with the system's packages or unpacks from one of them: `skopeo`, `docker-registry`.
///
/// # Panics
/// When it is not there: a test that needs it must not pass without it.
#[must_use]
pub fn from_debian(program: &str) -> PathBuf {
    find(program).unwrap_or_else(|| panic!("{program} is missing: run ./tests/run, which installs it"))
}

/// The same; `None`: it is not there.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // where tests/run unpacks, beside the Python environment
    let unpacked = venv().parent().unwrap_or(Path::new("/")).join("debian/usr/bin");
    env::split_paths(&path).chain([unpacked]).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// A binary of this workspace (`dthd`, `dth`): from `DTH_BIN_DIR`, else from where cargo built this test.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn from_cargo(binary: &str) -> PathBuf {
    let set = env::var_os("DTH_BIN_DIR").map(PathBuf::from);
    // target/PROFILE/deps/integration-HASH
    let beside = || env::current_exe().ok().and_then(|exe| exe.ancestors().nth(2).map(PathBuf::from));
    let path = set.or_else(beside).unwrap_or_default().join(binary);
    assert!(path.is_file(), "{} is missing: run ./tests/run, or: cargo build --bins", path.display());
    path
}
