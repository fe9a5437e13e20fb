//! Data that should never be there.

use cryptopay_auth::Clock as _;
use cryptopay_domain::{DisplayName, EmailAddress, Username};
use cryptopay_store::audit::AuditEvent;
use cryptopay_store::user::NewUser;
use secrecy::SecretString;

use crate::auth::TestAuth;

impl TestAuth {
    /// Registers a merchant whose stored password hash is none: logging in is a fault.
    pub async fn insert_user_with_a_damaged_password(&self, username: &str) {
        let now = self.clock.now();
        let new = NewUser {
            username: Username::parse(username).expect("a username"),
            email: EmailAddress::parse("damaged@example.com").expect("an address"),
            shop_name: DisplayName::parse("Test Shop").expect("a name"),
            password_hash: SecretString::from("no hash"),
            created_at: now,
        };
        let audit = AuditEvent {
            occurred_at: now,
            event: "user.registered",
            outcome: "succeeded",
            user_id: None,
            actor: "test".to_owned(),
            subject: None,
            ip: "192.0.2.7".to_owned(),
            user_agent: None,
            request_id: "test-request".to_owned(),
            detail: None,
        };
        self.auth.store().insert_user(new, audit).await.expect("an account");
    }
}
