//! TLS: rustls with ring, and the authorities that it trusts.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// The authorities that Mozilla trusts, built in rather than read from the system: the binary needs nothing
/// installed, an empty container included, and an endpoint is trusted or not alike on every replica. The
/// price is that they are as old as the build; that an operator's private authority is not among them is
/// meant so, for merchants' servers are public.
pub(super) fn authorities_of_the_web() -> RootCertStore {
    RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())
}

/// TLS 1.2 and 1.3, trusting these authorities.
pub(super) fn configuration(authorities: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut configuration = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(configuration)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use bytes::Bytes;
    use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::resolver::{Looking, Lookup, Resolver};
    use crate::target::Target;
    use crate::transport::{Exchange, Timeouts, Transport};
    use crate::{Addresses, Schemes, TargetPolicy};

    /// Every name is this machine's.
    struct Here;

    impl Lookup for Here {
        fn lookup<'a>(&'a self, _: &'a str) -> Looking<'a> {
            Box::pin(async { Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) })
        }
    }

    fn certificate(name: &str) -> CertificateParams {
        CertificateParams::new(vec![name.to_owned()]).unwrap()
    }

    /// The authority that the clients here trust, or would.
    fn authority() -> (RootCertStore, Issuer<'static, KeyPair>) {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let mut store = RootCertStore::empty();
        store.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
        (store, Issuer::new(params, key))
    }

    /// What a post ends in that goes to shop.example.com, whose server has this certificate.
    async fn posted(certificate: &CertificateParams, trusted: Trusted) -> Exchange {
        let (store, issuer) = authority();
        let key = KeyPair::generate().unwrap();
        let certificate = certificate.signed_by(&key, &issuer).unwrap().der().clone();
        let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = TlsAcceptor::from(Arc::new(server)).accept(stream).await else { return };
            let mut request = Vec::new();
            while !request.ends_with(b"{}") {
                stream.read_buf(&mut request).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecure").await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let policy =
            TargetPolicy { schemes: Schemes::HttpsOnly, addresses: Addresses::AnyAddress, own: Vec::new() };
        let target = Target::parse(&format!("https://shop.example.com:{port}/"), &policy).unwrap();
        let resolver = Resolver::new(policy, Arc::new(Here));
        let transport = match trusted {
            Trusted::TheAuthority => Transport::trusting(store, resolver, Timeouts::default()),
            Trusted::TheWeb => Transport::new(resolver, Timeouts::default()),
        };
        transport.unwrap().post(&target, &[], Bytes::from_static(b"{}")).await
    }

    enum Trusted {
        TheAuthority,
        TheWeb,
    }

    #[tokio::test]
    async fn a_webhook_goes_to_a_server_that_is_trusted() {
        let exchange = posted(&certificate("shop.example.com"), Trusted::TheAuthority).await;
        assert_eq!(exchange.error, None);
        assert_eq!(exchange.response.as_deref(), Some("secure"));
    }

    #[tokio::test]
    async fn a_certificate_of_an_unknown_authority_is_not_trusted() {
        let exchange = posted(&certificate("shop.example.com"), Trusted::TheWeb).await;
        assert_eq!(exchange.error.as_deref(), Some("TLS: certificate not trusted"));
        assert_eq!(exchange.status_code, None);
    }

    #[tokio::test]
    async fn a_certificate_for_another_name_is_told_as_such() {
        let exchange = posted(&certificate("pub.example.com"), Trusted::TheAuthority).await;
        assert_eq!(exchange.error.as_deref(), Some("TLS: certificate is for another name"));
    }

    #[tokio::test]
    async fn an_expired_certificate_is_told_as_such() {
        let mut certificate = certificate("shop.example.com");
        certificate.not_before = date_time_ymd(2000, 1, 1);
        certificate.not_after = date_time_ymd(2001, 1, 1);
        let exchange = posted(&certificate, Trusted::TheAuthority).await;
        assert_eq!(exchange.error.as_deref(), Some("TLS: certificate expired"));
    }

    #[test]
    fn the_authorities_of_the_web_are_built_in() {
        assert!(authorities_of_the_web().len() > 50);
    }
}
