//! Changing the password.

use cryptopay_domain::SessionId;
use cryptopay_domain::login_throttle::Throttled;
use cryptopay_store::audit::AuditEvent;
use cryptopay_store::user::{PasswordChange, UserKey};
use secrecy::{ExposeSecret, SecretString};

use crate::audit::event_by;
use crate::context::RequestContext;
use crate::core::{Auth, Inner};
use crate::failure::{Failure, Outcome};
use crate::hasher::Verification;
use crate::login::stored_hash;
use crate::login_throttle::Reservation;
use crate::password::PasswordAttempt;
use crate::principal::Principal;

use ChangePasswordRejection as Rejection;

/// The old and the new password, as they were typed.
#[derive(Debug)]
pub struct ChangePasswordCommand {
    /// The one that is in force.
    pub current_password: SecretString,
    /// The one that shall be.
    pub new_password: SecretString,
}

/// Why a password is not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangePasswordRejection {
    /// Only a live login may do this.
    LoginRequired,
    /// The current password is another.
    WrongCurrentPassword,
    /// Too many wrong current passwords: this one was not looked at.
    Throttled(Throttled),
    /// The new password is too short, too long or too easily guessed; the messages tell what would help.
    WeakPassword(Vec<String>),
}

/// How often the current password is verified when its hash changes meanwhile: a login may hash it anew, at
/// today's cost, between this one's look and its write; the second look finds that.
const LOOKS: usize = 2;

impl Auth {
    /// Changes the password and ends every other session of the merchant; tells how many ended.
    ///
    /// # Errors
    /// [`ChangePasswordRejection`]; [`Failure::Unavailable`] when the hasher's queue is full.
    pub async fn change_password(
        &self,
        principal: &Principal,
        command: ChangePasswordCommand,
        context: &RequestContext,
    ) -> Outcome<u64, Rejection> {
        let keep = principal.session().ok_or(Failure::Rejected(Rejection::LoginRequired))?;
        let inner = &*self.inner;
        let reserved = inner.reserve_password_change(principal.user_id).await;
        let mut reservation = reserved.map_err(|failure| failure.map_rejection(Rejection::Throttled))?;
        for _ in 0..LOOKS {
            let changed = inner.try_change_password(principal, keep, &command, &mut reservation, context);
            if let Some(ended) = changed.await? {
                return Ok(ended);
            }
        }
        Err(Failure::Rejected(Rejection::LoginRequired))
    }
}

impl Inner {
    /// `None` when the session ended, the account was disabled or its hash changed between the look and the
    /// write.
    async fn try_change_password(
        &self,
        principal: &Principal,
        keep: SessionId,
        command: &ChangePasswordCommand,
        reservation: &mut Reservation,
        context: &RequestContext,
    ) -> Outcome<Option<u64>, Rejection> {
        let network = context.client.network();
        let found = self.store.find_user_credentials(UserKey::Id(principal.user_id)).await?;
        let found = found.ok_or(Failure::Rejected(Rejection::LoginRequired))?;
        let attempt = PasswordAttempt::new(command.current_password.expose_secret());
        let stored = stored_hash(&found.password_hash);
        let verified = self.hasher.verify(attempt, Some(stored), network).await;
        if let Ok(Verification { matches: false, .. }) = verified {
            let refused = AuditEvent {
                outcome: "refused",
                ..event_by(principal, "user.password_changed", context, self.clock.now())
            };
            self.store.record_audit_events(reservation.records(refused)).await?;
            return Err(Failure::Rejected(Rejection::WrongCurrentPassword));
        }
        // It was right, or nobody has learnt anything of it.
        self.take_back(reservation).await?;
        verified?;
        let user = &found.user;
        let typed = [user.username.as_str(), user.email.as_str(), user.shop_name.as_str()];
        let new = self
            .hasher
            .check_new(command.new_password.expose_secret(), &typed, network)
            .await?
            .map_err(|weak| Failure::Rejected(Rejection::WeakPassword(weak.messages)))?;
        let hash = self.hasher.hash(new, network).await?;
        let now = self.clock.now();
        let change = PasswordChange {
            user: principal.user_id,
            verified: found.password_hash,
            new: SecretString::from(hash.expose()),
            keep,
            now,
        };
        let audit = event_by(principal, "user.password_changed", context, now);
        let written = self.store.change_password(change, audit).await;
        Ok(written.transpose().map(|ended| self.apply(ended)).transpose()?)
    }
}
