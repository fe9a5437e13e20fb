//! Who may come to a route: with every kind of credential that opens something, and every kind that does not.

use std::sync::Arc;
use std::time::Duration;

use cryptopay_auth::{Clock as _, NewApiKey, Principal};
use cryptopay_domain::api_key::ApiKeyRequest;
use cryptopay_domain::{DisplayName, Environment, Permission, Timestamp};
use ring::rand::SystemRandom;

use crate::auth::{TestAuth, context};

/// Somebody with a credential, or with something that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persona {
    /// No `Authorization` header.
    Anonymous,
    /// A password in place of a token.
    BasicScheme,
    /// No credential, but a header that promises one.
    EmptyBearer,
    /// Something that was never a credential.
    Nonsense,
    /// An access token with one character changed.
    TamperedToken,
    /// An access token that lacks its end.
    TruncatedToken,
    /// An access token past its end.
    ExpiredToken,
    /// An access token of a session that has ended.
    EndedSession,
    /// A refresh token in place of an access token.
    RefreshToken,
    /// A key with one character changed.
    MistypedKey,
    /// A well-formed key that was never made.
    UnknownKey,
    /// A key past its end.
    ExpiredKey,
    /// A key that was revoked.
    RevokedKey,
    /// A key of production; tests run in the sandbox.
    ProductionKey,
    /// A good token, twice.
    TwoHeaders,
    /// A merchant's login.
    Alice,
    /// Another merchant's login.
    Bob,
    /// A key of Alice's with one permission.
    Key(Permission),
}

/// The credentials of all personas.
pub struct Cast {
    expired_token: String,
    ended_session: String,
    expired_key: String,
    revoked_key: String,
    keys: Vec<(Permission, String)>,
}

impl Persona {
    /// Everyone whose credential is worth nothing.
    pub const REFUSED: [Self; 15] = [
        Self::Anonymous,
        Self::BasicScheme,
        Self::EmptyBearer,
        Self::Nonsense,
        Self::TamperedToken,
        Self::TruncatedToken,
        Self::ExpiredToken,
        Self::EndedSession,
        Self::RefreshToken,
        Self::MistypedKey,
        Self::UnknownKey,
        Self::ExpiredKey,
        Self::RevokedKey,
        Self::ProductionKey,
        Self::TwoHeaders,
    ];
    /// Everyone whose credential is good for something.
    pub const ACCEPTED: [Self; 6] = [
        Self::Alice,
        Self::Bob,
        Self::Key(Permission::Read),
        Self::Key(Permission::CreatePayments),
        Self::Key(Permission::ManageWebhooks),
        Self::Key(Permission::FullAccess),
    ];
}

impl Cast {
    /// Registers Alice and Bob, and makes what does not change. A day passes meanwhile.
    pub async fn assemble(core: &TestAuth) -> Self {
        let alice = core.principal("alice").await;
        core.register("bob").await;
        let hour = core.clock.now().after(Duration::from_secs(3600));
        let expired_key = core.api_key(&alice, &[Permission::FullAccess], Some(hour)).await;
        let expired_token = core.login("alice").await.access.expose().to_owned();
        core.clock.advance(Duration::from_secs(86_400));

        let ended = core.login("alice").await.access.expose().to_owned();
        let alice = core.auth.authenticate(&ended).await.expect("a fresh access token");
        let revoked_key = core.api_key(&alice, &[Permission::FullAccess], None).await;
        core.auth.revoke_api_key(&alice, revoked_key.details.id, &context()).await.expect("revocation");
        let mut keys = Vec::new();
        for permission in Permission::ALL {
            let key = core.api_key(&alice, &[permission], None).await;
            keys.push((permission, key.key.expose().to_owned()));
        }
        core.auth.logout(&alice, &context()).await.expect("logout");
        Self {
            expired_token,
            ended_session: ended,
            expired_key: expired_key.key.expose().to_owned(),
            revoked_key: revoked_key.key.expose().to_owned(),
            keys,
        }
    }

    /// The persona's `Authorization` headers. A login is a fresh one each time, since some routes end it.
    pub async fn authorization(&self, core: &TestAuth, persona: Persona) -> Vec<String> {
        let credential = match persona {
            Persona::Anonymous => return Vec::new(),
            Persona::BasicScheme => return vec!["Basic YWxpY2U6cGFzc3dvcmQ=".to_owned()],
            Persona::TwoHeaders => return vec![format!("Bearer {}", access(core, "alice").await); 2],
            Persona::EmptyBearer => String::new(),
            Persona::Nonsense => "nonsense".to_owned(),
            Persona::TamperedToken => {
                let token = access(core, "alice").await;
                with_another_character(&token, token.len() / 2)
            }
            Persona::TruncatedToken => {
                let mut token = access(core, "alice").await;
                token.pop();
                token
            }
            Persona::ExpiredToken => self.expired_token.clone(),
            Persona::EndedSession => self.ended_session.clone(),
            Persona::RefreshToken => core.login("alice").await.refresh.expose().to_owned(),
            Persona::MistypedKey => with_another_character(self.key(Permission::FullAccess), 20),
            Persona::UnknownKey => foreign_key(Environment::Sandbox),
            Persona::ExpiredKey => self.expired_key.clone(),
            Persona::RevokedKey => self.revoked_key.clone(),
            Persona::ProductionKey => foreign_key(Environment::Production),
            Persona::Alice => access(core, "alice").await,
            Persona::Bob => access(core, "bob").await,
            Persona::Key(permission) => self.key(permission).to_owned(),
        };
        vec![format!("Bearer {credential}")]
    }

    /// Alice's key with this permission.
    #[must_use]
    pub fn key(&self, permission: Permission) -> &str {
        let key = self.keys.iter().find(|(opens, _)| *opens == permission);
        key.map(|(_, key)| key.as_str()).expect("a key for each permission")
    }
}

impl TestAuth {
    /// Makes an API key.
    pub async fn api_key(
        &self,
        maker: &Arc<Principal>,
        permissions: &[Permission],
        expires_at: Option<Timestamp>,
    ) -> NewApiKey {
        let request = ApiKeyRequest {
            name: DisplayName::parse("till").expect("a name"),
            permissions: permissions.iter().copied().collect(),
            expires_at,
        };
        self.auth.create_api_key(maker, request, &context()).await.expect("a key")
    }
}

async fn access(core: &TestAuth, username: &str) -> String {
    core.login(username).await.access.expose().to_owned()
}

fn foreign_key(environment: Environment) -> String {
    let key = cryptopay_token::ApiKey::generate(environment, &SystemRandom::new()).expect("randomness");
    key.expose().to_owned()
}

/// The same text but for one letter or digit.
fn with_another_character(text: &str, place: usize) -> String {
    let other = if text[place..].starts_with('a') { "b" } else { "a" };
    format!("{}{other}{}", &text[..place], &text[place + 1..])
}
