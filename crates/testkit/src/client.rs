//! The HTTP client of tests.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// How long a test waits for an answer before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client that follows no redirect, asks no proxy of the environment, and speaks plain HTTP: over TLS it
/// would trust nobody.
#[must_use]
pub fn client() -> Client {
    client_with(RootCertStore::empty())
}

/// The same, trusting the certificate in `pem` alone.
#[must_use]
pub fn client_trusting(pem: &[u8]) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem).expect("a certificate")).expect("a usable certificate");
    client_with(roots)
}

fn client_with(roots: RootCertStore) -> Client {
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder().tls_backend_preconfigured(tls).redirect(redirect::Policy::none());
    client.timeout(PATIENCE).no_proxy().build().expect("a client")
}
