//! The words and rules of CryptoPay Auth.
//!
//! Everything here is a value or a pure function of facts and a moment. There is no I/O, no clock, no
//! randomness, no async and no logging: that is what lets every rule be tested alone.

pub mod api_key;
pub mod client_address;
pub mod display_name;
pub mod email;
pub mod environment;
pub mod id;
pub mod login;
pub mod page;
pub mod permission;
pub mod session;
pub mod timestamp;
pub mod user;
pub mod username;

pub use client_address::{ClientAddress, ClientNetwork};
pub use display_name::DisplayName;
pub use email::EmailAddress;
pub use environment::Environment;
pub use id::{ApiKeyId, SessionId, UserId};
pub use page::{Page, PageRequest};
pub use permission::{Permission, PermissionSet};
pub use session::Session;
pub use timestamp::Timestamp;
pub use user::User;
pub use username::Username;
