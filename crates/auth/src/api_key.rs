//! API keys: making, listing, narrowing, rotating and revoking them.
//!
//! Every change is decided on facts that were read in the transaction that writes it, under the merchant's
//! lock: a key made while its maker is being revoked is revoked too, or not made.

use std::sync::Arc;
use std::time::Duration;

use cryptopay_domain::api_key::{
    ApiKey, ApiKeyChange, ApiKeyChangeRejection, ApiKeyCreationRejection, ApiKeyRequest, Narrowing,
    NewSuccessor, RotationFacts, RotationPlan, decide_change, decide_creation, narrow_under, plan_rotation,
};
use cryptopay_domain::{ApiKeyId, Page, PageRequest, Permission, Timestamp, UserId};
use cryptopay_store::api_key::{ApiKeyFacts, ApiKeyPlan, ApiKeyWrite, KeyActor};
use cryptopay_store::audit::AuditEvent;

use crate::audit::event_by;
use crate::context::RequestContext;
use crate::core::{Auth, Inner};
use crate::failure::{Failure, Outcome};
use crate::principal::{Credential, Principal};

/// A key at the only moment at which it is seen.
#[derive(Debug)]
pub struct NewApiKey {
    /// The key itself.
    pub key: cryptopay_token::ApiKey,
    /// What is kept of it.
    pub details: ApiKey,
}

/// There is no such key within the caller's reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFound;

/// Why no key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateApiKeyRejection {
    /// The caller may no longer do this.
    Actor(ActorRejection),
    /// No permission was asked for.
    NoPermission,
    /// More permission than the caller's key has.
    MorePermission,
    /// The end is not in the future.
    EndNotInFuture,
    /// A later end than that of the caller's key.
    LaterEnd,
    /// As many active keys as there may be.
    TooMany,
}

/// Why a key is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeApiKeyRejection {
    /// The caller may no longer do this.
    Actor(ActorRejection),
    /// There is no such key within the caller's reach.
    NotFound,
    /// It would have no permission left.
    NoPermission,
    /// It would get a permission that it does not have.
    MorePermission,
    /// It no longer works.
    Conflict,
}

/// Why a key is not rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotateApiKeyRejection {
    /// The caller may no longer do this.
    Actor(ActorRejection),
    /// There is no such key within the caller's reach.
    NotFound,
    /// It is not active, and its successor is in use.
    Conflict,
}

/// Why a key is not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeApiKeyRejection {
    /// The caller may no longer do this.
    Actor(ActorRejection),
    /// There is no such key within the caller's reach.
    NotFound,
}

/// What can become of the caller between the check of its credential and the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorRejection {
    /// Its credential died.
    Unauthenticated,
    /// Its key was narrowed, and may no longer manage keys.
    InsufficientPermissions,
}

macro_rules! from_actor_rejection {
    ($($rejection:ident),*) => {$(
        impl From<ActorRejection> for $rejection {
            fn from(rejection: ActorRejection) -> Self {
                Self::Actor(rejection)
            }
        }
    )*};
}
from_actor_rejection!(
    CreateApiKeyRejection,
    ChangeApiKeyRejection,
    RotateApiKeyRejection,
    RevokeApiKeyRejection
);

impl Auth {
    /// Makes a key. Made with a key, it stands under that key.
    ///
    /// # Errors
    /// [`CreateApiKeyRejection`].
    pub async fn create_api_key(
        &self,
        principal: &Principal,
        request: ApiKeyRequest,
        context: &RequestContext,
    ) -> Outcome<NewApiKey, CreateApiKeyRejection> {
        let inner = &*self.inner;
        let now = inner.clock.now();
        let minted = inner.mint(now)?;
        let (id, hash, prefix) = (minted.id, minted.key.hash().0, minted.key.prefix().to_owned());
        let audit = key_event(principal, "api_key.created", id, context, now);
        let user_id = principal.user_id;
        let actor = actor_of(principal);
        let decide = move |facts: ApiKeyFacts| {
            let maker = acting_key(actor, &facts, now)?.cloned();
            decide_creation(&request, maker.as_ref(), facts.active, now).map_err(creation_rejection)?;
            let details = ApiKey {
                id,
                user_id,
                parent: maker.map(|maker| maker.id),
                name: request.name.to_string(),
                prefix,
                permissions: request.permissions,
                created_at: now,
                expires_at: request.expires_at,
                overlap_ends_at: None,
                revoked_at: None,
                successor: None,
                last_used_at: None,
            };
            let insert = Some((details.clone(), hash));
            Ok((ApiKeyPlan { insert, changes: Vec::new(), audit: vec![audit] }, details))
        };
        let details = self.change_keys(user_id, actor, None, now, decide).await?;
        Ok(NewApiKey { key: minted.key, details })
    }

    /// The keys within the caller's reach, newest first; those that ended more than 90 days ago left out.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when the store does not answer.
    pub async fn list_api_keys(
        &self,
        principal: &Principal,
        request: PageRequest<ApiKeyId>,
    ) -> Outcome<Page<ApiKey, ApiKeyId>, std::convert::Infallible> {
        let inner = &*self.inner;
        let (user, actor) = (principal.user_id, actor_of(principal));
        let mut page = inner.store.list_api_keys(user, actor, request, inner.clock.now()).await?;
        page.items.iter_mut().for_each(|key| inner.add_pending_use(key));
        Ok(page)
    }

    /// A key within the caller's reach.
    ///
    /// # Errors
    /// [`NotFound`].
    pub async fn find_api_key(&self, principal: &Principal, id: ApiKeyId) -> Outcome<ApiKey, NotFound> {
        let inner = &*self.inner;
        let found = inner.store.find_api_key(principal.user_id, actor_of(principal), id).await?;
        let now = inner.clock.now();
        let mut key = found
            .filter(|key| key.listed_until().is_none_or(|until| until > now))
            .ok_or(Failure::Rejected(NotFound))?;
        inner.add_pending_use(&mut key);
        Ok(key)
    }

    /// Renames a key or narrows it; narrowing reaches all keys under it and takes effect at once.
    ///
    /// # Errors
    /// [`ChangeApiKeyRejection`].
    pub async fn change_api_key(
        &self,
        principal: &Principal,
        id: ApiKeyId,
        change: ApiKeyChange,
        context: &RequestContext,
    ) -> Outcome<ApiKey, ChangeApiKeyRejection> {
        let inner = &*self.inner;
        let now = inner.clock.now();
        let audit = key_event(principal, "api_key.changed", id, context, now);
        let actor = actor_of(principal);
        let decide = move |facts: ApiKeyFacts| {
            acting_key(actor, &facts, now)?;
            let key = facts.key.ok_or(ChangeApiKeyRejection::NotFound)?;
            decide_change(&key, &change, now).map_err(change_rejection)?;
            let changed = ApiKey {
                name: change.name.map_or(key.name, |name| name.to_string()),
                permissions: change.permissions.unwrap_or(key.permissions),
                ..key
            };
            let narrowed = facts.under.into_iter().filter_map(|child| {
                let narrowing = narrow_under(&child, changed.permissions)?;
                Some(match narrowing {
                    Narrowing::To(permissions) => ApiKey { permissions, ..child },
                    Narrowing::Revoke => ApiKey { revoked_at: child.revoked_at.or(Some(now)), ..child },
                })
            });
            let changes = std::iter::once(changed.clone()).chain(narrowed).collect();
            Ok((ApiKeyPlan { insert: None, changes, audit: vec![audit] }, changed))
        };
        let mut key = self.change_keys(principal.user_id, actor, Some(id), now, decide).await?;
        inner.add_pending_use(&mut key);
        Ok(key)
    }

    /// Makes a successor of a key, which itself works on for `overlap`.
    ///
    /// # Errors
    /// [`RotateApiKeyRejection`].
    pub async fn rotate_api_key(
        &self,
        principal: &Principal,
        id: ApiKeyId,
        overlap: Duration,
        context: &RequestContext,
    ) -> Outcome<NewApiKey, RotateApiKeyRejection> {
        let inner = Arc::clone(&self.inner);
        let now = inner.clock.now();
        let minted = inner.mint(now)?;
        let (new_id, hash, prefix) = (minted.id, minted.key.hash().0, minted.key.prefix().to_owned());
        let audit = AuditEvent {
            detail: Some(format!("successor {new_id}")),
            ..key_event(principal, "api_key.rotated", id, context, now)
        };
        let actor = actor_of(principal);
        let decide = move |mut facts: ApiKeyFacts| {
            let maker = acting_key(actor, &facts, now)?.map(|maker| maker.id);
            let key = facts.key.take().ok_or(RotateApiKeyRejection::NotFound)?;
            if let Some(successor) = &mut facts.successor {
                inner.add_pending_use(successor);
            }
            let under = facts.under.into_iter().chain(facts.under_successor).collect();
            let facts = RotationFacts { key, successor: facts.successor, under };
            let new = NewSuccessor { id: new_id, prefix, maker };
            let RotationPlan { successor: details, changes } =
                plan_rotation(facts, new, overlap, now).map_err(|_| RotateApiKeyRejection::Conflict)?;
            let insert = Some((details.clone(), hash));
            Ok((ApiKeyPlan { insert, changes, audit: vec![audit] }, details))
        };
        let details = self.change_keys(principal.user_id, actor, Some(id), now, decide).await?;
        Ok(NewApiKey { key: minted.key, details })
    }

    /// Revokes a key and all keys under it. Revoking it again changes nothing and answers the same.
    ///
    /// # Errors
    /// [`RevokeApiKeyRejection`].
    pub async fn revoke_api_key(
        &self,
        principal: &Principal,
        id: ApiKeyId,
        context: &RequestContext,
    ) -> Outcome<ApiKey, RevokeApiKeyRejection> {
        let now = self.inner.clock.now();
        let audit = key_event(principal, "api_key.revoked", id, context, now);
        self.revoke_key(principal.user_id, actor_of(principal), id, audit, now).await
    }

    pub(crate) async fn revoke_key(
        &self,
        user: UserId,
        actor: KeyActor,
        id: ApiKeyId,
        audit: AuditEvent,
        now: Timestamp,
    ) -> Outcome<ApiKey, RevokeApiKeyRejection> {
        let decide = move |facts: ApiKeyFacts| {
            acting_key(actor, &facts, now)?;
            let key = facts.key.ok_or(RevokeApiKeyRejection::NotFound)?;
            if key.revoked_at.is_some() {
                return Ok((ApiKeyPlan::default(), key));
            }
            let revoked = ApiKey { revoked_at: Some(now), ..key };
            let under = facts.under.into_iter().filter(|child| child.revoked_at.is_none());
            let under = under.map(|child| ApiKey { revoked_at: Some(now), ..child });
            let changes = std::iter::once(revoked.clone()).chain(under).collect();
            Ok((ApiKeyPlan { insert: None, changes, audit: vec![audit] }, revoked))
        };
        let mut key = self.change_keys(user, actor, Some(id), now, decide).await?;
        self.inner.add_pending_use(&mut key);
        Ok(key)
    }

    async fn change_keys<T, R, F>(
        &self,
        user: UserId,
        actor: KeyActor,
        target: Option<ApiKeyId>,
        now: Timestamp,
        decide: F,
    ) -> Outcome<T, R>
    where
        T: Send + 'static,
        R: From<ActorRejection> + Send + 'static,
        F: FnOnce(ApiKeyFacts) -> Result<(ApiKeyPlan, T), R> + Send + 'static,
    {
        let inner = &*self.inner;
        match inner.store.change_api_keys(user, actor, target, now, decide).await {
            Ok(ApiKeyWrite::Written { answer, revocations }) => {
                inner.apply(Ok(revocations))?;
                Ok(answer)
            }
            Ok(ApiKeyWrite::Refused(rejection)) => Err(Failure::Rejected(rejection)),
            Ok(ApiKeyWrite::ActorGone) => Err(Failure::Rejected(ActorRejection::Unauthenticated.into())),
            Err(error) => {
                inner.apply(Err(error))?;
                Err(Failure::Fault)
            }
        }
    }
}

struct Minted {
    id: ApiKeyId,
    key: cryptopay_token::ApiKey,
}

impl Inner {
    fn mint<R>(&self, now: Timestamp) -> Result<Minted, Failure<R>> {
        let id = ApiKeyId(self.ids.next(now).map_err(|error| Failure::fault(&error))?);
        let key = cryptopay_token::ApiKey::generate(self.config.environment, self.ids.random())
            .map_err(|error| Failure::fault(&error))?;
        Ok(Minted { id, key })
    }

    /// Uses that this replica has not written yet count, too.
    fn add_pending_use(&self, key: &mut ApiKey) {
        key.last_used_at = key.last_used_at.max(self.usage.api_key_last_used(key.id));
    }
}

fn actor_of(principal: &Principal) -> KeyActor {
    match &principal.credential {
        Credential::AccessToken { session, .. } => KeyActor::Session(*session),
        Credential::ApiKey { id, .. } => KeyActor::Key(*id),
    }
}

/// The acting key as it is inside the transaction, checked again; `None` for a login or the operator.
fn acting_key(
    actor: KeyActor,
    facts: &ApiKeyFacts,
    now: Timestamp,
) -> Result<Option<&ApiKey>, ActorRejection> {
    if !matches!(actor, KeyActor::Key(_)) {
        return Ok(None);
    }
    let key = facts.maker.as_ref().ok_or(ActorRejection::Unauthenticated)?;
    if !key.status(now).is_usable() {
        return Err(ActorRejection::Unauthenticated);
    }
    if !key.permissions.allows(Permission::FullAccess) {
        return Err(ActorRejection::InsufficientPermissions);
    }
    Ok(Some(key))
}

fn creation_rejection(rejection: ApiKeyCreationRejection) -> CreateApiKeyRejection {
    match rejection {
        ApiKeyCreationRejection::NoPermission => CreateApiKeyRejection::NoPermission,
        ApiKeyCreationRejection::MorePermission => CreateApiKeyRejection::MorePermission,
        ApiKeyCreationRejection::EndNotInFuture => CreateApiKeyRejection::EndNotInFuture,
        ApiKeyCreationRejection::LaterEnd => CreateApiKeyRejection::LaterEnd,
        ApiKeyCreationRejection::TooMany => CreateApiKeyRejection::TooMany,
        ApiKeyCreationRejection::MakerGone => ActorRejection::Unauthenticated.into(),
        ApiKeyCreationRejection::MakerLacksPermission => ActorRejection::InsufficientPermissions.into(),
    }
}

fn change_rejection(rejection: ApiKeyChangeRejection) -> ChangeApiKeyRejection {
    match rejection {
        ApiKeyChangeRejection::NoPermission => ChangeApiKeyRejection::NoPermission,
        ApiKeyChangeRejection::MorePermission => ChangeApiKeyRejection::MorePermission,
        ApiKeyChangeRejection::Conflict => ChangeApiKeyRejection::Conflict,
    }
}

fn key_event(
    principal: &Principal,
    name: &'static str,
    key: ApiKeyId,
    context: &RequestContext,
    now: Timestamp,
) -> AuditEvent {
    AuditEvent { subject: Some(key.to_string()), ..event_by(principal, name, context, now) }
}
