//! TLS of the server's own: a certificate and its key from two files, read again when they change.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use ring::digest::{self, Digest, SHA256};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

/// A certificate and its key, for [`crate::serve`]. Clones are one.
#[derive(Clone, Debug)]
pub struct Tls {
    files: Arc<Files>,
    current: Arc<Current>,
    pub(crate) config: Arc<rustls::ServerConfig>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What connections are opened with from now on.
#[derive(Debug)]
struct Current {
    loaded: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    certified: Arc<CertifiedKey>,
    /// Of both files, to tell whether they have changed.
    digest: Vec<u8>,
}

/// What [`Tls::reload`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The files are what they were.
    Unchanged,
    /// New connections get the new certificate.
    Reloaded,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// Everybody on this machine may read the key.
    #[error("{path} can be read by everybody on this machine (mode {mode:o}); run: chmod o-rwx {path}")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file holds something else.
    #[error("{path} holds no {what} in PEM form: {error}")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// The certificate and the key do not belong together, or are of no supported kind.
    #[error("the certificate in {certificate} cannot be used with the key in {key}: {error}")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        error: rustls::Error,
    },
}

impl Tls {
    /// Reads a certificate chain (leaf first) and its private key, both in PEM form.
    ///
    /// TLS 1.3 and 1.2 with rustls's own choice of ciphers.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn load(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let files = Files { certificate, key };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = Arc::new(Current { loaded: ArcSwap::from_pointee(files.load(&provider)?) });
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&current) as _;
        let builder = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| files.mismatch(error))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { files: Arc::new(files), current, config: Arc::new(config) })
    }

    /// Reads the files again. While they cannot be used, the certificate that was stays.
    ///
    /// # Errors
    /// [`TlsError`] as [`Tls::load`]; also in the moment between the replacement of one file and the other.
    pub fn reload(&self) -> Result<Reload, TlsError> {
        let loaded = self.files.load(self.config.crypto_provider())?;
        if loaded.digest == self.current.loaded.load().digest {
            return Ok(Reload::Unchanged);
        }
        self.current.loaded.store(Arc::new(loaded));
        Ok(Reload::Reloaded)
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.loaded.load().certified))
    }
}

impl Files {
    fn load(&self, provider: &CryptoProvider) -> Result<Loaded, TlsError> {
        let certificate = read(&self.certificate)?;
        refuse_public(&self.key)?;
        let key = read(&self.key)?;
        let not_pem = |path: &Path, what| {
            let path = path.to_owned();
            move |error| TlsError::NotPem { path, what, error }
        };
        let chain = CertificateDer::pem_slice_iter(&certificate)
            .collect::<Result<Vec<_>, _>>()
            .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
            .map_err(not_pem(&self.certificate, "certificate"))?;
        let private = PrivateKeyDer::from_pem_slice(&key).map_err(not_pem(&self.key, "private key"))?;
        let certified =
            CertifiedKey::from_der(chain, private, provider).map_err(|error| self.mismatch(error))?;
        Ok(Loaded { certified: Arc::new(certified), digest: digest_of(&certificate, &key).as_ref().to_vec() })
    }

    fn mismatch(&self, error: rustls::Error) -> TlsError {
        TlsError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone(), error }
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let unreadable = |error| TlsError::Unreadable { path: path.to_owned(), error };
    fs::read(path).map(Zeroizing::new).map_err(unreadable)
}

/// A key may be shared with a group, as many distributions do, but not with everybody.
fn refuse_public(path: &Path) -> Result<(), TlsError> {
    let unreadable = |error| TlsError::Unreadable { path: path.to_owned(), error };
    let mode = fs::metadata(path).map_err(unreadable)?.mode() & 0o777;
    if mode & 0o007 == 0 { Ok(()) } else { Err(TlsError::Permissions { path: path.to_owned(), mode }) }
}

fn digest_of(certificate: &[u8], key: &[u8]) -> Digest {
    let mut context = digest::Context::new(&SHA256);
    // The length keeps two pairs apart whose files are cut differently.
    context.update(&certificate.len().to_be_bytes());
    context.update(certificate);
    context.update(key);
    context.finish()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    struct Pair {
        directory: TempDir,
    }

    impl Pair {
        fn new() -> Self {
            let pair = Self { directory: tempfile::tempdir().unwrap() };
            pair.renew();
            pair
        }

        fn certificate(&self) -> PathBuf {
            self.directory.path().join("certificate.pem")
        }

        fn key(&self) -> PathBuf {
            self.directory.path().join("key.pem")
        }

        fn renew(&self) {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            fs::write(self.certificate(), made.cert.pem()).unwrap();
            fs::write(self.key(), made.signing_key.serialize_pem()).unwrap();
            fs::set_permissions(self.key(), fs::Permissions::from_mode(0o600)).unwrap();
        }

        fn load(&self) -> Result<Tls, TlsError> {
            Tls::load(self.certificate(), self.key())
        }
    }

    fn leaf(tls: &Tls) -> Vec<u8> {
        tls.current.loaded.load().certified.cert[0].to_vec()
    }

    #[test]
    fn a_renewed_certificate_is_taken_and_an_unchanged_one_left() {
        let pair = Pair::new();
        let tls = pair.load().unwrap();
        let first = leaf(&tls);
        assert_eq!(tls.reload().unwrap(), Reload::Unchanged);
        pair.renew();
        assert_eq!(tls.reload().unwrap(), Reload::Reloaded);
        assert_ne!(leaf(&tls), first);
    }

    #[test]
    fn files_that_cannot_be_used_leave_the_certificate_that_was() {
        let pair = Pair::new();
        let tls = pair.load().unwrap();
        let first = leaf(&tls);
        let other = Pair::new();
        fs::copy(other.certificate(), pair.certificate()).unwrap();
        assert!(matches!(tls.reload(), Err(TlsError::Mismatch { .. })));
        fs::write(pair.certificate(), "rubbish").unwrap();
        assert!(matches!(tls.reload(), Err(TlsError::NotPem { what: "certificate", .. })));
        fs::remove_file(pair.certificate()).unwrap();
        assert!(matches!(tls.reload(), Err(TlsError::Unreadable { .. })));
        assert_eq!(leaf(&tls), first);
    }

    #[test]
    fn a_key_that_everybody_may_read_is_refused_with_the_way_out() {
        let pair = Pair::new();
        fs::set_permissions(pair.key(), fs::Permissions::from_mode(0o644)).unwrap();
        let message = pair.load().unwrap_err().to_string();
        assert!(message.contains("chmod o-rwx"), "{message}");
        fs::set_permissions(pair.key(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(pair.load().is_ok());
    }

    #[test]
    fn a_key_in_the_place_of_a_certificate_is_told() {
        let pair = Pair::new();
        let error = Tls::load(pair.key(), pair.key()).unwrap_err();
        assert!(matches!(error, TlsError::NotPem { what: "certificate", .. }), "{error}");
    }
}
