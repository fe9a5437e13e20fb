//! Sessions of browsers: beginning one with a password, and finding out on every page whose it is.
//!
//! They are ordinary sessions, listed and ended like any other, for which no token of the API is ever issued. The
//! row is read for every page, so that one that was ended, on whatever replica, opens nothing more.

use std::sync::Arc;

use cryptopay_domain::browser_session::{Confidence, judge_browser_session};
use cryptopay_domain::session::PresentedRefresh;
use cryptopay_domain::{Session, Timestamp, User};
use cryptopay_store::audit::AuditEvent;
use cryptopay_store::session::EndSessions;
use cryptopay_token::{BrowserToken, browser_token};

use crate::audit::event_by;
use crate::authenticate::LOGIN_PERMISSIONS;
use crate::context::RequestContext;
use crate::core::{Auth, Inner};
use crate::failure::{Failure, Outcome};
use crate::login::{LoginCommand, LoginRejection};
use crate::principal::{Credential, Principal};

/// A browser that is logged in.
#[derive(Clone, Debug)]
pub struct BrowserSession {
    /// Who, with full access.
    pub principal: Arc<Principal>,
    /// Whether the password was typed recently enough to change credentials.
    pub confidence: Confidence,
    /// When the password was typed.
    pub begun_at: Timestamp,
}

/// A session that a browser has begun.
#[derive(Debug)]
pub struct BrowserLogin {
    /// What the browser's cookie holds.
    pub token: BrowserToken,
    /// What it opens.
    pub session: BrowserSession,
    /// Who logged in.
    pub user: User,
}

/// The browser is not logged in, for whatever reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoBrowserSession;

impl Auth {
    /// Begins a session of a browser, with a new token, as [`Auth::login`] begins one of a program. The session of
    /// `replaced`, the token that the browser held before, ends: a login never goes on with it.
    ///
    /// # Errors
    /// [`LoginRejection`]; [`Failure::Unavailable`] when the hasher's queue is full.
    pub async fn log_in_browser(
        &self,
        command: LoginCommand,
        replaced: Option<&str>,
        context: &RequestContext,
    ) -> Outcome<BrowserLogin, LoginRejection> {
        let inner = &*self.inner;
        let (session, user) = inner.begin_login(&command, context).await?;
        let token =
            inner.browser_token(&session).ok_or(Failure::Rejected(LoginRejection::WrongCredentials))?;
        if let Some(replaced) = replaced {
            inner.end_replaced(replaced, context).await?;
        }
        let confidence = Confidence::Recent;
        let session = BrowserSession {
            begun_at: session.created_at,
            principal: Arc::new(principal(&session, user.username.clone())),
            confidence,
        };
        Ok(BrowserLogin { token, session, user })
    }

    /// Whose session a browser's token continues. Reads the session's row and rotates nothing: any number of tabs
    /// may ask at once.
    ///
    /// # Errors
    /// [`NoBrowserSession`]; [`Failure::Unavailable`] when the store does not answer.
    pub async fn browser_session(&self, token: &str) -> Outcome<BrowserSession, NoBrowserSession> {
        let inner = &*self.inner;
        let now = inner.clock.now();
        let (session, username, confidence) =
            inner.find_browser_session(token, now).await?.ok_or(Failure::Rejected(NoBrowserSession))?;
        inner.usage.session_used(session.id, now);
        Ok(BrowserSession {
            begun_at: session.created_at,
            principal: Arc::new(principal(&session, username)),
            confidence,
        })
    }
}

impl Inner {
    async fn find_browser_session<R>(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Outcome<Option<(Session, String, Confidence)>, R> {
        let Ok(parts) = browser_token::open(token, &self.ring.load(), &self.refresh_context()) else {
            return Ok(None);
        };
        let Some((mut session, username)) = self.store.find_session_with_username(parts.session).await?
        else {
            return Ok(None);
        };
        // A use that this replica has not written yet counts, too.
        let pending = self.usage.session_last_used(session.id);
        session.last_used_at = session.last_used_at.max(pending.unwrap_or(session.last_used_at));
        let presented = PresentedRefresh { counter: parts.counter, issued_at: parts.issued_at };
        let confidence = judge_browser_session(&session, presented, now);
        Ok(confidence.map(|confidence| (session, username, confidence)))
    }

    async fn end_replaced<R>(&self, token: &str, context: &RequestContext) -> Outcome<(), R> {
        let now = self.clock.now();
        let Some((session, username, _)) = self.find_browser_session(token, now).await? else {
            return Ok(());
        };
        let audit = AuditEvent {
            subject: Some(session.id.to_string()),
            ..event_by(&principal(&session, username), "session.replaced", context, now)
        };
        let ended = self.store.end_sessions(session.user_id, EndSessions::One(session.id), now, audit).await;
        self.apply(ended)?;
        Ok(())
    }
}

/// Who a browser's session stands for. No access token was issued with it, but it is a login all the same.
fn principal(session: &Session, username: String) -> Principal {
    Principal {
        user_id: session.user_id,
        username,
        permissions: LOGIN_PERMISSIONS,
        expires_at: Some(session.expires_at),
        credential: Credential::AccessToken { session: session.id, refresh_counter: session.line.counter },
    }
}
