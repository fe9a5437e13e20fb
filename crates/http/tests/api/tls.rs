//! TLS of the server's own, with a client that checks certificates.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cryptopay_http::{HttpConfig, Reload, ServerConfig, Tls};
use cryptopay_testkit::{Backend, TestApp, TestAuth};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A server, and the files of its certificate.
struct Scene {
    app: TestApp,
    tls: Tls,
    directory: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        renew(&directory);
        let [certificate, key] = files(&directory);
        let tls = Tls::load(certificate, key).unwrap();
        let server = ServerConfig {
            tls: Some(tls.clone()),
            head_timeout: Duration::from_secs(1),
            ..ServerConfig::default()
        };
        let core = TestAuth::start(Backend::Sqlite).await;
        Self { app: TestApp::serve_with(core, HttpConfig::new(7), server), tls, directory }
    }

    /// Connects as a client that trusts nothing but the certificate in the file right now.
    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let pem = fs::read(&files(&self.directory)[0]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(&pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = TcpStream::connect(self.app.address()).await.unwrap();
        TlsConnector::from(Arc::new(client)).connect("localhost".try_into().unwrap(), stream).await
    }
}

fn files(directory: &TempDir) -> [PathBuf; 2] {
    ["certificate.pem", "key.pem"].map(|name| directory.path().join(name))
}

fn renew(directory: &TempDir) {
    let [certificate, key] = files(directory);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The status line of an answer on an open connection.
async fn ask(connection: &mut TlsStream<TcpStream>) -> String {
    connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 15];
    connection.read_exact(&mut answer).await.unwrap();
    // The rest of the answer is small and comes with it.
    let mut rest = [0; 4096];
    let _ = connection.read(&mut rest).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn presented(connection: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    connection.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn requests_are_answered_over_tls() {
    let scene = Scene::new().await;
    let mut connection = scene.connect().await.unwrap();
    assert_eq!(connection.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(ask(&mut connection).await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_renewed_certificate_is_presented_to_the_next_and_open_connections_go_on() {
    let scene = Scene::new().await;
    let mut before = scene.connect().await.unwrap();
    ask(&mut before).await;
    renew(&scene.directory);
    assert_eq!(scene.tls.reload().unwrap(), Reload::Reloaded);
    let after = scene.connect().await.unwrap();
    assert_ne!(presented(&before), presented(&after));
    assert_eq!(ask(&mut before).await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn plain_http_and_a_handshake_that_never_comes_are_closed_without_a_word_of_http() {
    let scene = Scene::new().await;
    for sent in [&b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], b""] {
        let mut stream = TcpStream::connect(scene.app.address()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end, too.
        drop(stream.read_to_end(&mut answer).await);
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    assert!(scene.connect().await.is_ok());
}
