//! Registering a merchant.

use cryptopay_domain::{DisplayName, EmailAddress, User, Username};
use cryptopay_store::user::{InsertUserOutcome, NewUser, Taken};
use secrecy::{ExposeSecret, SecretString};

use crate::audit::{AuditOutcome, event};
use crate::context::RequestContext;
use crate::core::Auth;
use crate::failure::{Failure, Outcome};

/// What a merchant registers with.
#[derive(Debug)]
pub struct RegisterCommand {
    /// The username.
    pub username: Username,
    /// The e-mail address.
    pub email: EmailAddress,
    /// The password, as it was typed.
    pub password: SecretString,
    /// The shop's name.
    pub shop_name: DisplayName,
}

/// Why a merchant is not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterRejection {
    /// The password is too short, too long or too easily guessed; the messages tell what would help.
    WeakPassword(Vec<String>),
    /// Somebody has the username.
    UsernameTaken,
    /// Somebody has the e-mail address.
    EmailTaken,
}

impl Auth {
    /// Registers a merchant.
    ///
    /// # Errors
    /// [`RegisterRejection`]; [`Failure::Unavailable`] when the hasher's queue is full.
    pub async fn register(
        &self,
        command: RegisterCommand,
        context: &RequestContext,
    ) -> Outcome<User, RegisterRejection> {
        let inner = &*self.inner;
        let network = context.client.network();
        let typed = [command.username.as_str(), command.email.as_str(), command.shop_name.as_str()];
        let password = inner
            .hasher
            .check_new(command.password.expose_secret(), &typed, network)
            .await?
            .map_err(|weak| Failure::Rejected(RegisterRejection::WeakPassword(weak.messages)))?;
        // Asked before the slow hash; the insert settles it.
        if let Some(taken) = inner.store.find_taken(&command.username, &command.email).await? {
            return Err(Failure::Rejected(match taken {
                Taken::Username => RegisterRejection::UsernameTaken,
                Taken::Email => RegisterRejection::EmailTaken,
            }));
        }
        let hash = inner.hasher.hash(password, network).await?;
        let now = inner.clock.now();
        let new = NewUser {
            username: command.username,
            email: command.email,
            shop_name: command.shop_name,
            password_hash: SecretString::from(hash.expose()),
            created_at: now,
        };
        let audit = event("user.registered", AuditOutcome::Succeeded, context, now);
        match inner.store.insert_user(new, audit).await? {
            InsertUserOutcome::Inserted(user) => Ok(user),
            InsertUserOutcome::UsernameTaken => Err(Failure::Rejected(RegisterRejection::UsernameTaken)),
            InsertUserOutcome::EmailTaken => Err(Failure::Rejected(RegisterRejection::EmailTaken)),
        }
    }
}
