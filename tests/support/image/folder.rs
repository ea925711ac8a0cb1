//! An image as files in a folder, which skopeo reads as `dir:FOLDER`: the only form of it that takes every media type.

use std::{fs, io, path::Path};

use super::Manifest;

impl Manifest {
    /// Writes it with everything beneath it into `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let hex = |digest: String| digest.trim_start_matches("sha256:").to_owned();
        for blob in self.stored_blobs() {
            fs::write(folder.join(hex(blob.digest())), &blob.bytes)?;
        }
        for manifest in self.manifests() {
            fs::write(folder.join(format!("{}.manifest.json", hex(manifest.digest()))), &manifest.bytes)?;
        }
        fs::write(folder.join("manifest.json"), &self.bytes)?;
        fs::write(folder.join("version"), "Directory Transport Version: 1.1\n")
    }
}
