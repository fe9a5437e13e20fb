//! A merchant's sessions: which there are, and ending them.

use cryptopay_domain::{Page, PageRequest, Session, SessionId};
use cryptopay_store::StoreError;
use cryptopay_store::audit::AuditEvent;
use cryptopay_store::revocation::{Revocation, Revoked};
use cryptopay_store::session::EndSessions;

use crate::audit::event_by;
use crate::context::RequestContext;
use crate::core::{Auth, Inner};
use crate::failure::{Failure, Outcome};
use crate::principal::Principal;

/// Only a login may do this, and the credential is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginRequired;

/// Why a session is not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndSessionRejection {
    /// Only a login may do this.
    LoginRequired,
    /// The merchant has no such live session.
    NotFound,
}

impl Auth {
    /// Ends the session of the principal, its access tokens included, and tells how many sessions ended.
    ///
    /// # Errors
    /// [`LoginRequired`].
    pub async fn logout(
        &self,
        principal: &Principal,
        context: &RequestContext,
    ) -> Outcome<u64, LoginRequired> {
        let session = principal.session().ok_or(Failure::Rejected(LoginRequired))?;
        self.end(principal, EndSessions::One(session), "session.logged_out", context).await
    }

    /// The merchant's live sessions, newest first.
    ///
    /// # Errors
    /// [`LoginRequired`].
    pub async fn list_sessions(
        &self,
        principal: &Principal,
        request: PageRequest<SessionId>,
    ) -> Outcome<Page<Session, SessionId>, LoginRequired> {
        principal.session().ok_or(Failure::Rejected(LoginRequired))?;
        let inner = &*self.inner;
        let mut page = inner.store.list_sessions(principal.user_id, request, inner.clock.now()).await?;
        for session in &mut page.items {
            if let Some(used_at) = inner.usage.session_last_used(session.id) {
                session.last_used_at = session.last_used_at.max(used_at);
            }
        }
        Ok(page)
    }

    /// Ends one of the merchant's sessions, its access tokens included.
    ///
    /// # Errors
    /// [`EndSessionRejection`].
    pub async fn end_session(
        &self,
        principal: &Principal,
        id: SessionId,
        context: &RequestContext,
    ) -> Outcome<u64, EndSessionRejection> {
        principal.session().ok_or(Failure::Rejected(EndSessionRejection::LoginRequired))?;
        let ended = self
            .end(principal, EndSessions::One(id), "session.ended", context)
            .await
            .map_err(|failure| failure.map_rejection(|LoginRequired| EndSessionRejection::LoginRequired))?;
        if ended == 0 { Err(Failure::Rejected(EndSessionRejection::NotFound)) } else { Ok(ended) }
    }

    /// Ends all of the merchant's sessions but the principal's own, and tells how many ended.
    ///
    /// # Errors
    /// [`LoginRequired`].
    pub async fn end_other_sessions(
        &self,
        principal: &Principal,
        context: &RequestContext,
    ) -> Outcome<u64, LoginRequired> {
        let keep = principal.session().ok_or(Failure::Rejected(LoginRequired))?;
        self.end(principal, EndSessions::AllBut(keep), "session.others_ended", context).await
    }

    async fn end(
        &self,
        principal: &Principal,
        which: EndSessions,
        name: &'static str,
        context: &RequestContext,
    ) -> Outcome<u64, LoginRequired> {
        let inner = &*self.inner;
        let now = inner.clock.now();
        let subject = match which {
            EndSessions::One(id) => Some(id.to_string()),
            EndSessions::AllBut(_) => None,
        };
        let audit = AuditEvent { subject, ..event_by(principal, name, context, now) };
        let ended = inner.store.end_sessions(principal.user_id, which, now, audit).await;
        Ok(inner.apply(ended)?)
    }
}

impl Inner {
    /// Makes a committed revocation hold here before it is answered, and tells how many rows it had. When the
    /// outcome of the commit is unknown, what this replica knows counts as stale until it has looked again.
    pub(crate) fn apply(&self, written: Result<Vec<Revocation>, StoreError>) -> Result<u64, StoreError> {
        match written {
            Ok(revocations) => {
                self.revocations.apply(&revocations);
                let of_one = |row: &&Revocation| !matches!(row.revoked, Revoked::SessionsBegunBefore(_));
                Ok(u64::try_from(revocations.iter().filter(of_one).count()).unwrap_or(u64::MAX))
            }
            Err(error) => {
                if error.is_unknown() {
                    self.revocations.distrust();
                }
                Err(error)
            }
        }
    }
}
