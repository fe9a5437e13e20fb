//! What the operator does on the command line, beside a running server: it learns of it through the feed.

use cryptopay_domain::api_key::ApiKey;
use cryptopay_domain::{ApiKeyId, PageRequest, User, UserId, Username};
use cryptopay_store::api_key::KeyActor;
use cryptopay_store::audit::AuditEvent;
use cryptopay_store::user::UserKey;

use crate::api_key::RevokeApiKeyRejection;
use crate::audit::event_by_operator;
use crate::core::Auth;
use crate::failure::{Failure, Outcome};

/// There is no such account or key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchSubject;

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// It may.
    Enabled,
    /// It may not: its sessions end, and its keys open nothing until it is enabled again.
    Disabled,
}

impl Auth {
    /// Disables or enables an account.
    ///
    /// # Errors
    /// [`NoSuchSubject`].
    pub async fn set_account_state(
        &self,
        username: &Username,
        state: AccountState,
    ) -> Outcome<User, NoSuchSubject> {
        let inner = &*self.inner;
        let now = inner.clock.now();
        let (name, disabled_at) = match state {
            AccountState::Enabled => ("user.enabled", None),
            AccountState::Disabled => ("user.disabled", Some(now)),
        };
        let audit = event_by_operator(name, None, now);
        let name = username.lookup_form();
        match inner.store.set_user_disabled(name, disabled_at, now, audit).await {
            Ok(None) => Err(Failure::Rejected(NoSuchSubject)),
            Ok(Some((user, revocations))) => {
                inner.apply(Ok(revocations))?;
                Ok(user)
            }
            Err(error) => {
                inner.apply(Err(error))?;
                Err(Failure::Fault)
            }
        }
    }

    /// Accounts in order of their numbers, `limit` of those after `after`.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when the store does not answer.
    pub async fn list_users(
        &self,
        after: UserId,
        limit: usize,
    ) -> Outcome<Vec<User>, std::convert::Infallible> {
        Ok(self.inner.store.list_users(after, limit).await?)
    }

    /// The keys of an account, newest first, a page at a time.
    ///
    /// # Errors
    /// [`NoSuchSubject`].
    pub async fn list_api_keys_of(
        &self,
        username: &Username,
        request: PageRequest<ApiKeyId>,
    ) -> Outcome<cryptopay_domain::Page<ApiKey, ApiKeyId>, NoSuchSubject> {
        let inner = &*self.inner;
        let found = inner.store.find_user_credentials(UserKey::Username(username.lookup_form())).await?;
        let user = found.ok_or(Failure::Rejected(NoSuchSubject))?.user.id;
        Ok(inner.store.list_api_keys(user, KeyActor::Operator, request, inner.clock.now()).await?)
    }

    /// Revokes a key, and all keys under it.
    ///
    /// # Errors
    /// [`NoSuchSubject`].
    pub async fn revoke_any_api_key(&self, id: ApiKeyId) -> Outcome<ApiKey, NoSuchSubject> {
        let inner = &*self.inner;
        let owner = inner.store.find_api_key_owner(id).await?.ok_or(Failure::Rejected(NoSuchSubject))?;
        let now = inner.clock.now();
        let audit = AuditEvent {
            subject: Some(id.to_string()),
            ..event_by_operator("api_key.revoked", Some(owner), now)
        };
        self.revoke_key(owner, KeyActor::Operator, id, audit, now)
            .await
            .map_err(|failure| failure.map_rejection(|_: RevokeApiKeyRejection| NoSuchSubject))
    }

    /// Ends every session of everyone and voids every refresh token ever issued: what has to follow the
    /// restoring of a backup. Tells how many sessions ended.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when the store does not answer.
    pub async fn end_all_sessions(&self) -> Outcome<u64, std::convert::Infallible> {
        let inner = &*self.inner;
        let now = inner.clock.now();
        let audit = event_by_operator("session.all_ended", None, now);
        let ended = inner.store.end_all_sessions(now, audit).await;
        let ended = inner.apply(ended)?;
        // Whoever logs in from now on gets tokens of the new generation.
        self.load_revocations().await?;
        Ok(ended)
    }
}
