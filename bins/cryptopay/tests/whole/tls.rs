//! TLS of the server's own, as an operator sets it up.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use cryptopay_testkit::{Backend, Installation};

use crate::PROGRAM;

/// An installation in production, reachable from elsewhere, with a certificate.
async fn production() -> Installation {
    let installation = Installation::new(PROGRAM, Backend::Sqlite).await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = installation.directory();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| directory.join(name));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    installation
        .with("CRYPTOPAY_ENVIRONMENT", "production")
        .with("CRYPTOPAY_PUBLIC_URL", "https://api.example.com")
        .with("CRYPTOPAY_LISTEN", "0.0.0.0:0")
        .with("CRYPTOPAY_TLS_CERTIFICATE_FILE", &certificate.to_string_lossy())
        .with("CRYPTOPAY_TLS_KEY_FILE", &key.to_string_lossy())
}

#[tokio::test(flavor = "multi_thread")]
async fn production_is_served_under_its_own_certificate_and_says_that_https_is_to_stay() {
    let installation = production().await;
    installation.run(&["doctor"]).await.success();
    let server = installation.serve().await;
    assert!(server.banner().contains("listening    https://"), "{}", server.banner());
    let answer = server.get("/healthz", "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["strict-transport-security"], "max-age=31536000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_stops_the_start_and_doctor_says_the_same() {
    let installation = production().await;
    for (variable, value, expected) in [
        ("CRYPTOPAY_TLS_KEY_FILE", "/nowhere/key.pem", "/nowhere/key.pem cannot be read"),
        ("CRYPTOPAY_TLS_KEY_FILE", "", "CRYPTOPAY_TLS_KEY_FILE"),
        ("CRYPTOPAY_TLS_CERTIFICATE_FILE", "", "CRYPTOPAY_TLS_CERTIFICATE_FILE"),
    ] {
        let broken = installation.clone().with(variable, value);
        let error = broken.run(&["serve"]).await.failure();
        assert!(error.contains(expected), "{error}");
        let report = broken.run(&["doctor"]).await;
        assert!(report.stdout.contains(expected), "{report:?}");
    }
}
