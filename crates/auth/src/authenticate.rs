//! From a presented credential to a principal: the hot path of everything.

use std::sync::Arc;

use cryptopay_domain::{Environment, KeyVerdict, PermissionSet, Timestamp};
use cryptopay_store::session::SessionSighting;
use cryptopay_token::{ApiKeyRef, TokenHash, access_token, api_key};

use crate::core::{Auth, Inner};
use crate::credential_cache::{API_KEY_REMEMBERED, Proof, Remembered};
use crate::failure::{Failure, Outcome};
use crate::principal::{Credential, Principal};

/// Why a credential is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthenticationRejection {
    /// Malformed, unknown, expired, revoked, or of the wrong kind: which, nobody is told.
    Invalid,
    /// An API key whose prefix names the other environment, this one.
    OtherEnvironment(Environment),
}

use AuthenticationRejection::Invalid;

impl Auth {
    /// The principal of a credential that is remembered and still good. `None` means that
    /// [`Auth::authenticate`] has to be asked. Touches memory alone.
    #[must_use]
    pub fn authenticate_cached(&self, bearer: &str) -> Option<Arc<Principal>> {
        let inner = &*self.inner;
        if !inner.revocations.is_fresh() {
            return None;
        }
        let hash = TokenHash::of(bearer);
        let remembered = inner.remembered.get(&hash)?;
        let now = inner.clock.now();
        if !inner.still_holds(&remembered, now) {
            inner.remembered.remove(&hash);
            return None;
        }
        inner.note_use(&remembered, now);
        Some(Arc::clone(&remembered.principal))
    }

    /// The principal of a credential: an access token or an API key.
    ///
    /// # Errors
    /// [`AuthenticationRejection`]; [`Failure::Unavailable`] while revocations are unknown and the store does
    /// not answer.
    pub async fn authenticate(&self, bearer: &str) -> Outcome<Arc<Principal>, AuthenticationRejection> {
        if let Some(principal) = self.authenticate_cached(bearer) {
            return Ok(principal);
        }
        let inner = &*self.inner;
        if !inner.revocations.is_loaded() {
            return Err(Failure::not_loaded());
        }
        if bearer.starts_with("cp_") {
            inner.authenticate_api_key(bearer).await
        } else {
            inner.authenticate_access_token(bearer).await
        }
    }
}

impl Inner {
    async fn authenticate_access_token(
        &self,
        bearer: &str,
    ) -> Outcome<Arc<Principal>, AuthenticationRejection> {
        let now = self.clock.now();
        let ring = self.ring.load();
        let verified = access_token::verify_expired_or_not(bearer, &ring, &self.token_context, now)
            .map_err(|_| Failure::Rejected(Invalid))?;
        let claims = verified.claims;
        if self.revocations.is_session_revoked(claims.session) {
            return Err(Failure::Rejected(Invalid));
        }
        // An expired one opens nothing, and yet tells that the answer it came with has arrived. Nothing comes
        // before the first token of a session, so its sight settles nothing.
        if claims.refresh_counter > 0 {
            let (session, counter) = (claims.session, claims.refresh_counter);
            self.usage.session_seen(SessionSighting { session, counter, at: now });
        }
        if claims.has_expired(now) {
            return Err(Failure::Rejected(Invalid));
        }
        let fresh = self.revocations.is_fresh();
        if !fresh && !self.store.is_session_live(claims.session, claims.subject).await? {
            return Err(Failure::Rejected(Invalid));
        }
        let (session, counter) = (claims.session, claims.refresh_counter);
        let principal = Arc::new(Principal {
            user_id: claims.subject,
            username: claims.username,
            permissions: claims.permissions,
            expires_at: Some(claims.expires_at),
            credential: Credential::AccessToken { session, refresh_counter: counter },
        });
        let proof = Proof::Signature { session, kid: verified.kid };
        self.remember(bearer, Remembered::new(Arc::clone(&principal), proof), now);
        Ok(principal)
    }

    async fn authenticate_api_key(&self, bearer: &str) -> Outcome<Arc<Principal>, AuthenticationRejection> {
        if let Some(named) = api_key::environment_named_by(bearer)
            && named != self.config.environment
        {
            return Err(Failure::Rejected(AuthenticationRejection::OtherEnvironment(named)));
        }
        // A mistyped key fails its checksum and never reaches the store.
        let key = ApiKeyRef::parse(bearer).map_err(|_| Failure::Rejected(Invalid))?;
        // Taken before the store is read: a change that is applied meanwhile voids what was read.
        let epoch = self.revocations.epoch();
        let found = self.store.find_api_key_by_hash(key.hash().0).await?;
        let now = self.clock.now();
        let found = found.ok_or(Failure::Rejected(Invalid))?;
        let key = found.key;
        if found.user_disabled_at.is_some() || !key.status(now).is_usable() {
            // Its owner is told that somebody still calls with it.
            self.usage.keys.count(key.id, KeyVerdict::Refused, now);
            return Err(Failure::Rejected(Invalid));
        }
        let principal = Arc::new(Principal {
            user_id: key.user_id,
            username: found.username,
            permissions: key.permissions,
            expires_at: key.effective_end(),
            credential: Credential::ApiKey { id: key.id, name: key.name },
        });
        if key.last_used_at.is_none() {
            self.usage.api_key_used(key.id, now, true);
        }
        let proof = Proof::Row { key: key.id, epoch, read_at: now };
        self.remember(bearer, Remembered::new(Arc::clone(&principal), proof), now);
        Ok(principal)
    }

    fn remember(&self, bearer: &str, remembered: Remembered, now: Timestamp) {
        let remembered = Arc::new(remembered);
        self.note_use(&remembered, now);
        self.remembered.insert(TokenHash::of(bearer), remembered);
    }

    /// Whether a remembered credential is still good: ends are exact, and changes are looked up.
    fn still_holds(&self, remembered: &Remembered, now: Timestamp) -> bool {
        if remembered.principal.expires_at.is_some_and(|end| now >= end) {
            return false;
        }
        match &remembered.proof {
            Proof::Signature { session, kid } => {
                !self.revocations.is_session_revoked(*session) && self.ring.load().contains(kid)
            }
            Proof::Row { key, epoch, read_at } => {
                now < read_at.after(API_KEY_REMEMBERED)
                    && self.revocations.is_key_unchanged_since(*key, *epoch)
            }
        }
    }

    fn note_use(&self, remembered: &Remembered, now: Timestamp) {
        if !remembered.is_use_due(now) {
            return;
        }
        match remembered.proof {
            Proof::Signature { session, .. } => self.usage.session_used(session, now),
            Proof::Row { key, .. } => self.usage.api_key_used(key, now, false),
        }
    }
}

/// What a login may do.
pub(crate) const LOGIN_PERMISSIONS: PermissionSet = PermissionSet::FULL;
