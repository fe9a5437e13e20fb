//! Webhooks: signatures, canonical bodies, the retry plan, and a transport that goes only where it may.
//!
//! A service that *receives* webhooks verifies them in three lines, whatever its HTTP library:
//!
//! ```
//! use std::time::SystemTime;
//!
//! use cryptopay_webhook::{Receiver, WebhookSecret};
//!
//! # use cryptopay_webhook::SignedHeaders;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (secret, body) = ("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", br#"{"id":"e1"}"#);
//! # let signed = SignedHeaders::new(&[&WebhookSecret::parse(secret)?], "e1", SystemTime::now().into(), body);
//! # let headers = std::collections::HashMap::from(signed.into_pairs());
//! let receiver = Receiver::new(WebhookSecret::parse(secret)?);
//! let header = |name| headers.get(name).map(String::as_str);
//! receiver.verify(header, body, SystemTime::now().into())?;
//! # assert!(receiver.verify(header, b"{}", SystemTime::now().into()).is_err());
//! # Ok(())
//! # }
//! ```

pub mod address;
pub mod canonical;
pub mod diagnosis;
pub mod event;
pub mod policy;
pub mod receiver;
pub mod resolver;
pub mod retry;
pub mod secret;
pub mod signature;
mod system_lookup;
pub mod target;
pub mod transport;

pub use canonical::{CanonicalObject, CanonicalValue, SafeInteger, UnsafeInteger};
pub use diagnosis::{Diagnosis, Finding, SecretRole, diagnose};
pub use event::{EventTooLarge, MAX_BODY_BYTES, event_body};
pub use policy::{Addresses, Schemes, TargetPolicy};
pub use receiver::{Receiver, ReceiverError};
pub use resolver::{Looking, Lookup, ResolveError, Resolver};
pub use retry::RetryPlan;
pub use secret::{RandomnessError, WebhookSecret, WebhookSecretError};
pub use signature::{SignedHeaders, page_signature, standard_signature};
pub use target::{Target, TargetError};
pub use transport::{Exchange, Timeouts, Transport, TransportError};
