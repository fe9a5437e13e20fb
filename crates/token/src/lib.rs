//! The credentials of CryptoPay Auth, and nothing but them.
//!
//! | credential | module | made with |
//! |---|---|---|
//! | access token | [`access_token`] | PASETO `v4.public`, signed by the active key of a [`KeyRing`] |
//! | refresh token | [`refresh_token`] | HMAC-SHA256, keyed from the same ring |
//! | browser token | [`browser_token`] | the same, under another label |
//! | API key | [`api_key`] | 256 random bits; only a hash is kept |
//!
//! Secrets that have to be read back, of which no hash would do, are sealed by an [`encryption_ring`].
//!
//! Architecture invariant: there is no clock, no randomness of its own, no I/O and no logging here. `now` and the
//! source of randomness are parameters, so that whoever only wants to *check* a credential offline can.
//!
//! ```
//! use std::time::Duration;
//!
//! use cryptopay_domain::{Environment, PermissionSet, SessionId, Timestamp, UserId};
//! use cryptopay_token::{AccessClaims, KeyRing, SigningKey, TokenContext, access_token};
//! use uuid::Uuid;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ring = KeyRing::fixed(vec![SigningKey::generate(&ring::rand::SystemRandom::new())?])?;
//! let context = TokenContext::new("https://api.example.com", Environment::Sandbox);
//!
//! let now = Timestamp::parse("2024-01-02T12:00:00Z")?;
//! let claims = AccessClaims {
//!     subject: UserId(123),
//!     username: "your-username".to_owned(),
//!     token_id: Uuid::from_u128(1),
//!     issued_at: now,
//!     expires_at: now.after(Duration::from_secs(86_400)),
//!     session: SessionId(Uuid::from_u128(2)),
//!     refresh_counter: 0,
//!     permissions: PermissionSet::FULL,
//! };
//! let token = access_token::issue(&claims, ring.active(now), &context)?;
//!
//! let verified = access_token::verify(token.expose(), &ring, &context, now)?;
//! assert_eq!(verified.claims, claims);
//! assert!(access_token::verify(token.expose(), &ring, &context, claims.expires_at).is_err());
//! # Ok(())
//! # }
//! ```

pub mod access_token;
pub mod api_key;
pub mod attempt_subject;
mod base62;
pub mod browser_token;
pub mod credential_hash;
pub mod encryption_key;
pub mod encryption_ring;
pub mod key_id;
pub mod key_ring;
pub mod refresh_token;
pub mod signing_key;

pub use access_token::{
    AccessClaims, AccessToken, AccessTokenError, IssueError, TokenContext, VerifiedAccessToken,
};
pub use api_key::{ApiKey, ApiKeyError, ApiKeyRef};
pub use attempt_subject::AttemptSubject;
pub use browser_token::BrowserToken;
pub use credential_hash::{ApiKeyHash, TokenHash};
pub use encryption_key::{EncryptionKey, EncryptionKeyError, EncryptionKeyId, ShortKeyId};
pub use encryption_ring::{EncryptionRing, EncryptionRingError, OpenError};
pub use key_id::{KeyId, KeyIdError, MacKeyId, MacKeyIdError};
pub use key_ring::{KeyListing, KeyRing, KeyRingError, KeyStatus, RingEntry};
pub use refresh_token::{RefreshContext, RefreshParts, RefreshToken, RefreshTokenError, SealError};
pub use signing_key::{RandomnessError, SigningKey, SigningKeyError};

use std::time::Duration;

/// How far the clocks of two replicas may be apart before a token of one is refused by the other: 30 s.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(30);
