//! The words and rules of CryptoPay Auth.
//!
//! Everything here is a value or a pure function of facts and a moment. There is no I/O, no clock, no
//! randomness, no async and no logging: that is what lets every rule be tested alone.

pub mod amount;
pub mod api_key;
pub mod api_key_usage;
pub mod browser_session;
pub mod client_address;
pub mod currency;
pub mod delivery;
pub mod description;
pub mod display_name;
pub mod email;
pub mod environment;
pub mod id;
pub mod idempotency_key;
pub mod login;
pub mod login_throttle;
pub mod metadata;
pub mod page;
pub mod payment_order;
pub mod permission;
pub mod session;
pub mod timestamp;
pub mod user;
pub mod username;
pub mod webhook_endpoint;
pub mod webhook_event;

pub use amount::Amount;
pub use api_key_usage::{ApiKeyUsage, Day, KeyVerdict};
pub use client_address::{ClientAddress, ClientNetwork};
pub use currency::Currency;
pub use delivery::{Attempt, Delivery};
pub use description::Description;
pub use display_name::DisplayName;
pub use email::EmailAddress;
pub use environment::Environment;
pub use id::{ApiKeyId, DeliveryId, PaymentOrderId, SessionId, UserId, WebhookEndpointId, WebhookEventId};
pub use idempotency_key::IdempotencyKey;
pub use metadata::Metadata;
pub use page::{Page, PageRequest};
pub use payment_order::PaymentOrder;
pub use permission::{Permission, PermissionSet};
pub use session::Session;
pub use timestamp::Timestamp;
pub use user::User;
pub use username::Username;
pub use webhook_endpoint::WebhookEndpoint;
pub use webhook_event::{EventFilter, EventType};
