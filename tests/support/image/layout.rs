//! An image as an OCI layout in a folder (image-spec, "OCI Image Layout"), which skopeo reads as `oci:FOLDER:TAG`.

use std::{fs, io, path::Path};

use serde_json::json;

use super::{Manifest, OCI_INDEX};

impl Manifest {
    /// Writes it with everything beneath it into `folder`, which is made, under this tag.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_layout(&self, folder: &Path, tag: &str) -> io::Result<()> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let write = |digest: String, bytes: &[u8]| fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes);
        for blob in self.stored_blobs() {
            write(blob.digest(), &blob.bytes)?;
        }
        for manifest in self.manifests() {
            write(manifest.digest(), &manifest.bytes)?;
        }
        let mut top = self.plain_descriptor();
        top["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [top]});
        fs::write(folder.join("index.json"), index.to_string())?;
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
    }
}
