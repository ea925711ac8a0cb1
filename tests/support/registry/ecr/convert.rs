//! What ECR gives a client that asks by tag and does not take the manifest as it is (ECR user guide, "Container image manifest format
//! support").

use bytes::Bytes;
use serde_json::{Value, json};

use crate::registry::{
    digest,
    graph::{DOCKER_MANIFEST, OCI_MANIFEST, SCHEMA1},
    manifest::{Accept, not_accepted},
    refusal::Refusal,
    store::Manifest,
};

/// The manifest as the client takes it: schema 2 becomes OCI or, where that is not taken either, schema 1. Nothing else is converted.
pub(crate) fn accepted(found: Manifest, repository: &str, tag: &str, accept: &Accept) -> Result<Manifest, Refusal> {
    if accept.takes(&found.media_type) {
        return Ok(found);
    }
    if found.media_type != DOCKER_MANIFEST {
        return Err(not_accepted(&found.media_type));
    }
    let value: Value = serde_json::from_slice(&found.bytes).map_err(|_| Refusal::manifest_invalid())?;
    let (media_type, converted) =
        if accept.takes(OCI_MANIFEST) { (OCI_MANIFEST, oci(value)) } else { (SCHEMA1, schema1(&value, repository, tag)) };
    let bytes = Bytes::from(converted.to_string());
    Ok(Manifest { digest: digest::sha256(&bytes.clone().into()), media_type: media_type.to_owned(), bytes, pushed: found.pushed })
}

fn oci(mut value: Value) -> Value {
    value["mediaType"] = OCI_MANIFEST.into();
    value["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
    for layer in value["layers"].as_array_mut().into_iter().flatten() {
        layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip".into();
    }
    value
}

fn schema1(value: &Value, repository: &str, tag: &str) -> Value {
    let layers = value["layers"].as_array().cloned().unwrap_or_default();
    let sums: Vec<Value> = layers.iter().rev().map(|layer| json!({"blobSum": layer["digest"]})).collect();
    let history: Vec<Value> = layers.iter().map(|_| json!({"v1Compatibility": "{}"})).collect();
    json!({"schemaVersion": 1, "name": repository, "tag": tag, "architecture": "amd64", "fsLayers": sums, "history": history})
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::registry::image::{Image, made};

    fn stored(image: &Image) -> Manifest {
        Manifest {
            digest: image.digest().to_owned(),
            media_type: image.media_type().to_owned(),
            bytes: image.bytes(),
            pushed: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn only_schema_2_is_converted() {
        let docker = stored(&Image::docker("linux/amd64", 1, &made(1, &[5, 6])));
        for (accept, media_type) in
            [(&[DOCKER_MANIFEST, OCI_MANIFEST][..], DOCKER_MANIFEST), (&[OCI_MANIFEST], OCI_MANIFEST), (&["*/*"], SCHEMA1), (&[], SCHEMA1)]
        {
            let manifest = accepted(docker.clone(), "a", "v1", &Accept::only(accept)).expect("converted");
            assert_eq!(manifest.media_type, media_type);
            assert_eq!(manifest.digest == docker.digest, media_type == DOCKER_MANIFEST, "another form has another digest");
        }
        let oci = stored(&Image::new(1, &[5]));
        let refused = accepted(oci, "a", "v1", &Accept::only(&[DOCKER_MANIFEST])).expect_err("not converted");
        assert_eq!(refused.code, "MANIFEST_UNKNOWN");
    }
}
