//! The installation that the targets attack: constant, so that bytes which break a promise break it again.
#![allow(clippy::unwrap_used, reason = "the constants below are keys")]

use std::sync::LazyLock;

use cryptopay_domain::{Environment, Timestamp};
use cryptopay_token::{EncryptionKey, EncryptionRing, KeyRing, RefreshContext, SigningKey, TokenContext};

/// The key pair of the official test vector `4-S-1` of PASETO: known to everyone, and used nowhere else.
pub const SIGNING_KEY: &str =
    "k4.secret.tMv7Q99M4hByfZU-SnEzB_oZu32fhQQUONnhG5QqN3Qeudu7vAR8A_1wYE4AcfCYfhayi3VyJcEfAEFdDiCxog";
/// The bytes 0x70 to 0x8f, as the test vectors have them.
pub const ENCRYPTION_KEY: &str = "k4.local.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8";
/// The context of sealed secrets.
pub const SEALED_FOR: &str = "webhook_endpoints/7/secret";
/// What the key above is called in a sealed secret, with the version before it.
pub const SEALED_HEADER_BYTES: usize = 10;

/// The ring with [`SIGNING_KEY`] alone.
pub static KEY_RING: LazyLock<KeyRing> =
    LazyLock::new(|| KeyRing::fixed(vec![SigningKey::from_paserk(SIGNING_KEY).unwrap()]).unwrap());
/// The ring with [`ENCRYPTION_KEY`] alone.
pub static ENCRYPTION_RING: LazyLock<EncryptionRing> =
    LazyLock::new(|| EncryptionRing::new(vec![EncryptionKey::from_paserk(ENCRYPTION_KEY).unwrap()]).unwrap());
/// What access tokens are bound to.
pub static TOKEN_CONTEXT: LazyLock<TokenContext> =
    LazyLock::new(|| TokenContext::new("https://auth.example.com", Environment::Sandbox));
/// What refresh tokens are bound to.
pub static REFRESH_CONTEXT: LazyLock<RefreshContext> = LazyLock::new(|| RefreshContext {
    environment: Environment::Sandbox,
    issuer: "https://auth.example.com".to_owned(),
    generation: 1,
});

/// The moment at which everything happens: 2024-01-02T12:00:00Z.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_704_196_800)
}
