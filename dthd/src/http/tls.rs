//! Which certificates are trusted: the system's, and those that `AWS_CA_BUNDLE` names.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The file that the AWS SDKs and command line take further certificates from.
const BUNDLE: &str = "AWS_CA_BUNDLE";

/// Certificates that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AWS_CA_BUNDLE names {}, which cannot be read: {why}", path.display())]
pub struct TlsError {
    /// The file.
    pub path: PathBuf,
    /// Why, in the words of who tried.
    pub why: String,
}

/// TLS 1.2 and 1.3 without a client certificate. HTTP/1.1 only: no other protocol is offered.
///
/// # Errors
/// When `AWS_CA_BUNDLE` names a file that cannot be read or holds no certificate.
pub(super) fn config() -> Result<ClientConfig, TlsError> {
    let bundle = std::env::var_os(BUNDLE).filter(|path| !path.is_empty());
    let roots = roots(bundle.as_deref().map(Path::new))?;
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has cipher suites for the versions that rustls takes for safe");
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn roots(bundle: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "a certificate of the system cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = bundle {
        let bad = |why: String| TlsError { path: path.to_owned(), why };
        let found = CertificateDer::pem_file_iter(path).map_err(|e| bad(e.to_string()))?;
        let found = found.collect::<Result<Vec<_>, _>>().map_err(|e| bad(e.to_string()))?;
        let (added, _) = roots.add_parsable_certificates(found);
        if added == 0 {
            return Err(bad("it holds no certificate in PEM form".to_owned()));
        }
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_without_certificates_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "no certificate").expect("writes");
        let error = roots(Some(&empty)).expect_err("nothing in it").to_string();
        assert!(error.contains("empty.pem") && error.contains("no certificate in PEM form"), "{error}");
        let error = roots(Some(Path::new("/nowhere/ca.pem"))).expect_err("not there").to_string();
        assert!(error.starts_with("AWS_CA_BUNDLE names /nowhere/ca.pem, which cannot be read: "), "{error}");
    }
}
