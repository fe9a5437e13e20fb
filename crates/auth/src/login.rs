//! Logging in.

use cryptopay_domain::login::{AccountFacts, LoginDecision, LoginFacts, decide_login};
use cryptopay_domain::login_throttle::Throttled;
use cryptopay_domain::session::{EarlierUses, RefreshLine};
use cryptopay_domain::{EmailAddress, Session, SessionId, Timestamp, User, UserId, Username};
use cryptopay_store::audit::AuditEvent;
use cryptopay_store::session::VerifiedLogin;
use cryptopay_store::user::{UserCredentials, UserKey};
use cryptopay_token::{AccessToken, RefreshToken};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

use crate::audit::{AuditOutcome, event};
use crate::context::RequestContext;
use crate::core::{Auth, Inner};
use crate::failure::{Failure, Outcome};
use crate::login_throttle::Reservation;
use crate::password::{PasswordAttempt, PasswordHash};
use crate::tokens::TokenPair;

/// What somebody logs in with.
#[derive(Debug)]
pub struct LoginCommand {
    /// The username or the e-mail address, as it was typed.
    pub username: String,
    /// The password, as it was typed.
    pub password: SecretString,
}

/// A new session.
#[derive(Debug)]
pub struct LoggedIn {
    /// Opens the API.
    pub access: AccessToken,
    /// Buys the next pair.
    pub refresh: RefreshToken,
    /// Who logged in.
    pub user: User,
}

/// How often a right password is verified when the account changes meanwhile. Another login may hash it anew,
/// at today's cost, between this one's look and its write; the second look finds that.
const LOOKS: usize = 2;

/// Why nobody is logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginRejection {
    /// Wrong, for whatever reason: one value for all.
    WrongCredentials,
    /// Too many wrong passwords: this one was not looked at.
    Throttled(Throttled),
}

impl Auth {
    /// Logs a merchant in. Exactly one hash is computed, whatever the name and the password are; none when the
    /// attempt comes too early after too many wrong ones, whether anybody has the name or not.
    ///
    /// # Errors
    /// [`LoginRejection`]; [`Failure::Unavailable`] when the hasher's queue is full.
    pub async fn login(
        &self,
        command: LoginCommand,
        context: &RequestContext,
    ) -> Outcome<LoggedIn, LoginRejection> {
        let inner = &*self.inner;
        let (session, user) = inner.begin_login(&command, context).await?;
        let pair = inner.issue_pair(&session, &user.username, inner.clock.now())?;
        let rejected = Failure::Rejected(LoginRejection::WrongCredentials);
        let TokenPair { access, refresh } = pair.ok_or(rejected)?;
        Ok(LoggedIn { access, refresh, user })
    }
}

impl Inner {
    /// Verifies a password and begins a session, whatever its tokens will be.
    pub(crate) async fn begin_login(
        &self,
        command: &LoginCommand,
        context: &RequestContext,
    ) -> Outcome<(Session, User), LoginRejection> {
        let reserved = self.reserve_login(&identifier(&command.username), context.client.network()).await;
        let mut reservation = reserved.map_err(|failure| failure.map_rejection(LoginRejection::Throttled))?;
        for _ in 0..LOOKS {
            if let Some(begun) = self.try_login(command, &mut reservation, context).await? {
                return Ok(begun);
            }
        }
        Err(Failure::Rejected(LoginRejection::WrongCredentials))
    }

    /// `None` when the account changed between the look at it and the write.
    async fn try_login(
        &self,
        command: &LoginCommand,
        reservation: &mut Reservation,
        context: &RequestContext,
    ) -> Outcome<Option<(Session, User)>, LoginRejection> {
        let network = context.client.network();
        let found = match user_key(&command.username) {
            Some(key) => self.store.find_user_credentials(key).await?,
            None => None,
        };
        let attempt = PasswordAttempt::new(command.password.expose_secret());
        let stored = found.as_ref().map(|found| stored_hash(&found.password_hash));
        let verification = match self.hasher.verify(attempt.clone(), stored, network).await {
            Ok(verification) => verification,
            Err(error) => {
                // Nobody has learnt anything of the password.
                self.take_back(reservation).await?;
                return Err(error.into());
            }
        };
        let facts = LoginFacts {
            account: found
                .as_ref()
                .map(|found| AccountFacts { user_id: found.user.id, disabled_at: found.user.disabled_at }),
            password_matches: verification.matches,
        };
        let now = self.clock.now();
        let (LoginDecision::Accept(_), Some(found)) = (decide_login(facts), found) else {
            let user = facts.account.map(|account| account.user_id);
            let refused = self.refused_login(&command.username, user, context, now);
            self.store.record_audit_events(reservation.records(refused)).await?;
            return Err(Failure::Rejected(LoginRejection::WrongCredentials));
        };
        // When the hasher is busy, the next login will bring the hash up to date.
        let rehashed =
            if verification.outdated { self.hasher.hash(attempt, network).await.ok() } else { None };
        let rehashed = rehashed.map(|hash| SecretString::from(hash.expose()));
        self.begin_session(found, rehashed, reservation, context).await
    }

    async fn begin_session(
        &self,
        found: UserCredentials,
        rehashed: Option<SecretString>,
        reservation: &Reservation,
        context: &RequestContext,
    ) -> Outcome<Option<(Session, User)>, LoginRejection> {
        let UserCredentials { user, password_hash } = found;
        let now = self.clock.now();
        let id = SessionId(self.ids.next(now).map_err(|error| Failure::fault(&error))?);
        let session = Session {
            id,
            user_id: user.id,
            created_at: now,
            last_used_at: now,
            expires_at: now.whole_seconds().after(self.config.refresh.ttl),
            ip: context.client.to_string(),
            user_agent: context.user_agent.clone(),
            line: RefreshLine {
                counter: 0,
                issued_at: now.whole_seconds(),
                mac_key: self.mac_key_name(now),
                used_at: None,
                earlier_uses: EarlierUses::default(),
            },
            ended_at: None,
        };
        let audit = AuditEvent {
            user_id: Some(user.id),
            subject: Some(id.to_string()),
            ..event("login", AuditOutcome::Succeeded, context, now)
        };
        let login = VerifiedLogin {
            session: session.clone(),
            verified: password_hash,
            rehashed,
            attempt: self.settlement(reservation, &user, context.client.network(), now),
        };
        if !self.store.insert_session(login, audit).await? {
            // The password was changed, or the account disabled, while the hash was computed.
            return Ok(None);
        }
        Ok(Some((session, user)))
    }

    /// A name that exists is recorded by its number. One that does not may be a password typed into the
    /// wrong field, so only a keyed hash of it is kept.
    fn refused_login(
        &self,
        typed: &str,
        user: Option<UserId>,
        context: &RequestContext,
        now: Timestamp,
    ) -> AuditEvent {
        let unknown = || {
            let tag = hmac::sign(&self.typed_name_key, typed.to_lowercase().as_bytes());
            let hex: String = tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            format!("unknown name {hex}")
        };
        AuditEvent {
            user_id: user,
            detail: user.is_none().then(unknown),
            ..event("login", AuditOutcome::Refused, context, now)
        }
    }
}

pub(crate) fn stored_hash(hash: &SecretString) -> PasswordHash {
    PasswordHash::new(hash.expose_secret().to_owned())
}

/// What somebody logs in under, in one spelling, whether anybody has that name or not: the form in which it is looked
/// up, or else what was typed, without regard to case.
pub(crate) fn identifier(typed: &str) -> String {
    match user_key(typed) {
        Some(UserKey::Username(name) | UserKey::Email(name)) => name,
        Some(UserKey::Id(_)) | None => typed.to_lowercase(),
    }
}

/// What to look an account up by; `None` for text that can be neither a username nor an address.
fn user_key(typed: &str) -> Option<UserKey> {
    if let Ok(username) = Username::parse(typed) {
        return Some(UserKey::Username(username.lookup_form()));
    }
    EmailAddress::parse(typed).ok().map(|email| UserKey::Email(email.lookup_form()))
}
