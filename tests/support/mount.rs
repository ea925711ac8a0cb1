//! A small disk of its own for a directory, for tests that fill it. Needs root.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// A tmpfs; unmounted when dropped.
#[derive(Debug)]
pub struct Tmpfs {
    at: PathBuf,
}

impl Tmpfs {
    /// Mounts an empty file system of `size` bytes over the directory `at`, which is made if it is missing.
    ///
    /// # Errors
    /// When the directory cannot be made, or `mount` says no.
    pub fn mount(at: &Path, size: u64) -> io::Result<Self> {
        std::fs::create_dir_all(at)?;
        let output = Command::new("mount").args(["-t", "tmpfs", "-o"]).arg(format!("size={size}")).arg("tmpfs").arg(at).output()?;
        if output.status.success() {
            return Ok(Self { at: at.to_owned() });
        }
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    /// Leaves at most `free` bytes on it.
    ///
    /// # Errors
    /// When the file system does not tell its size, or cannot be written.
    pub fn fill(&self, free: u64) -> io::Result<()> {
        let stat = nix::sys::statvfs::statvfs(&self.at)?;
        let left = stat.blocks_available() * stat.fragment_size();
        let length = usize::try_from(left.saturating_sub(free)).map_err(io::Error::other)?;
        std::fs::write(self.filler(), vec![0; length])
    }

    /// Takes back what [`Tmpfs::fill`] took.
    ///
    /// # Errors
    /// When nothing had been filled.
    pub fn empty(&self) -> io::Result<()> {
        std::fs::remove_file(self.filler())
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // lazy: a process that is just ending may still be in it
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}
