//! Refreshing: one token line for each session, and no accidental log-outs.

use cryptopay_domain::session::{Breach, PresentedRefresh, RefreshDecision, decide_refresh};
use cryptopay_domain::{Session, Timestamp};
use cryptopay_store::audit::AuditEvent;
use cryptopay_store::session::{EndSessions, SessionRotation};
use cryptopay_token::{RefreshParts, refresh_token};

use crate::audit::{AuditOutcome, event};
use crate::context::RequestContext;
use crate::core::{Auth, Inner};
use crate::failure::{Failure, Outcome};
use crate::tokens::TokenPair;

/// The refresh token is no good, for whatever reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshRejection;

/// How often a refresh that lost a race against another one looks again. Each loss means that another one
/// won, and a loser's next look finds its token spent, so two suffice.
const LOOKS: usize = 4;

impl Auth {
    /// Answers a refresh token with a pair: the next one, or the same one again when its answer may have
    /// been lost. A token that comes back after its successor has been in use ends the session.
    ///
    /// # Errors
    /// [`RefreshRejection`].
    pub async fn refresh(
        &self,
        token: &str,
        context: &RequestContext,
    ) -> Outcome<TokenPair, RefreshRejection> {
        let inner = &*self.inner;
        if !inner.revocations.is_loaded() {
            return Err(Failure::not_loaded());
        }
        let parts = refresh_token::open(token, &inner.ring.load(), &inner.refresh_context())
            .map_err(|_| Failure::Rejected(RefreshRejection))?;
        for _ in 0..LOOKS {
            if let Some(pair) = inner.try_refresh(&parts, context).await? {
                return Ok(pair);
            }
        }
        tracing::warn!("a refresh lost every race");
        Err(Failure::Unavailable { retry_after: std::time::Duration::from_secs(1) })
    }
}

impl Inner {
    /// `None` when another refresh of the session got ahead between the look and the write.
    async fn try_refresh(
        &self,
        parts: &RefreshParts,
        context: &RequestContext,
    ) -> Outcome<Option<TokenPair>, RefreshRejection> {
        let rejected = Failure::Rejected(RefreshRejection);
        let Some((mut session, username)) = self.store.find_session_with_username(parts.session).await?
        else {
            return Err(rejected);
        };
        if let Some(sighting) = self.usage.sighting(session.id) {
            session.line = session.line.seen(sighting.counter, sighting.at);
        }
        let now = self.clock.now();
        let presented = PresentedRefresh { counter: parts.counter, issued_at: parts.issued_at };
        match decide_refresh(&session, presented, self.config.refresh, now) {
            RefreshDecision::Rotate => self.rotate(session, &username, context, now).await,
            RefreshDecision::Repeat => {
                let pair = self.issue_pair(&session, &username, now)?;
                let audit = session_event(&session, "session.refresh_repeated", context, now);
                self.store.record_audit_event(audit).await?;
                pair.map(Some).ok_or(rejected)
            }
            RefreshDecision::Refuse => Err(rejected),
            RefreshDecision::EndSession(breach) => {
                self.end_breached(&session, breach, context, now).await?;
                Err(rejected)
            }
        }
    }

    async fn rotate(
        &self,
        mut session: Session,
        username: &str,
        context: &RequestContext,
        now: Timestamp,
    ) -> Outcome<Option<TokenPair>, RefreshRejection> {
        let from_counter = session.line.counter;
        session.line = session.line.rotated(self.mac_key_name(now), self.config.refresh, now);
        let rotation = SessionRotation {
            session: session.id,
            from_counter,
            line: session.line.clone(),
            expires_at: session.line.issued_at.after(self.config.refresh.ttl),
            now,
        };
        let audit = session_event(&session, "session.refreshed", context, now);
        if !self.store.rotate_session(rotation, audit).await? {
            return Ok(None);
        }
        let pair = self.issue_pair(&session, username, now)?;
        pair.map(Some).ok_or(Failure::Rejected(RefreshRejection))
    }

    async fn end_breached(
        &self,
        session: &Session,
        breach: Breach,
        context: &RequestContext,
        now: Timestamp,
    ) -> Result<(), Failure<RefreshRejection>> {
        let detail = match breach {
            Breach::Reuse => "a spent refresh token came back after its successor was in use",
            Breach::RolledBack => "a refresh token is ahead of the database, which was rolled back",
        };
        tracing::warn!(session = %session.id, detail, "a session is ended");
        let audit = AuditEvent {
            outcome: "refused",
            detail: Some(detail.to_owned()),
            ..session_event(session, "session.ended_by_breach", context, now)
        };
        let ended = self.store.end_sessions(session.user_id, EndSessions::One(session.id), now, audit).await;
        self.apply(ended)?;
        Ok(())
    }
}

fn session_event(
    session: &Session,
    name: &'static str,
    context: &RequestContext,
    now: Timestamp,
) -> AuditEvent {
    AuditEvent {
        user_id: Some(session.user_id),
        actor: format!("refresh_token:{}", session.id),
        subject: Some(session.id.to_string()),
        ..event(name, AuditOutcome::Succeeded, context, now)
    }
}
