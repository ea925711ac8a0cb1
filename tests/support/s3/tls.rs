//! A certificate authority of a test run's own, and servers that prove themselves by it.

use std::{io, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer},
};

/// An authority nobody trusts who was not given [`Ca::file`].
#[derive(Debug)]
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Ca {
    /// A new one.
    ///
    /// # Panics
    /// When its file cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key of the default kind can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority may sign itself");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ca = Self { issuer, folder };
        std::fs::write(ca.file(), ca.issuer.pem()).expect("a file in a fresh folder can be written");
        ca
    }

    /// Its certificate as PEM: what `AWS_CA_BUNDLE` of a client must name.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// TLS of a server with a certificate for 127.0.0.1, `localhost` and the buckets below it. HTTP/1.1 only.
    pub(crate) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let names = ["127.0.0.1", "localhost", "*.localhost"].map(str::to_owned);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate =
            CertificateParams::new(names).and_then(|params| params.signed_by(&key, &self.issuer)).map_err(io::Error::other)?;
        let secret = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], secret))
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl Default for Ca {
    fn default() -> Self {
        Self::new()
    }
}
