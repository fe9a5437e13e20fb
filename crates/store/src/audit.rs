//! The audit log: who did what from where, with which result.

use cryptopay_domain::{Timestamp, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::moment::At;
use crate::schema::audit_events;
use crate::{Store, StoreError};

/// One thing that happened to a credential. It holds no secret and nothing a caller typed, but the names of
/// things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// When.
    pub occurred_at: Timestamp,
    /// What: `login`, `api_key.rotated` …
    pub event: &'static str,
    /// With which result: `succeeded`, `refused` …
    pub outcome: &'static str,
    /// Whose account it touches, if it is known.
    pub user_id: Option<UserId>,
    /// Who: `access_token:<session>`, `api_key:<id>`, `operator`, `anonymous`.
    pub actor: String,
    /// To what: a session, a key.
    pub subject: Option<String>,
    /// From which address.
    pub ip: String,
    /// With which program.
    pub user_agent: Option<String>,
    /// In which request.
    pub request_id: String,
    /// What else matters.
    pub detail: Option<String>,
}

/// An audit event as it was recorded.
#[derive(Queryable, Selectable, Clone, Debug)]
#[diesel(table_name = audit_events)]
pub struct AuditRow {
    /// Its number.
    pub id: i64,
    occurred_at: At,
    /// What happened.
    pub event: String,
    /// With which result.
    pub outcome: String,
    /// Whose account it touches.
    pub user_id: Option<i64>,
    /// Who did it.
    pub actor: String,
    /// To what.
    pub subject: Option<String>,
    /// From which address.
    pub ip: String,
    /// With which program.
    pub user_agent: Option<String>,
    /// In which request.
    pub request_id: String,
    /// What else matters.
    pub detail: Option<String>,
}

impl AuditRow {
    /// When it happened.
    #[must_use]
    pub const fn occurred_at(&self) -> Timestamp {
        self.occurred_at.0
    }
}

#[derive(Insertable)]
#[diesel(table_name = audit_events)]
struct NewAuditRow {
    occurred_at: At,
    event: &'static str,
    outcome: &'static str,
    user_id: Option<i64>,
    actor: String,
    subject: Option<String>,
    ip: String,
    user_agent: Option<String>,
    request_id: String,
    detail: Option<String>,
}

impl From<AuditEvent> for NewAuditRow {
    fn from(event: AuditEvent) -> Self {
        Self {
            occurred_at: At(event.occurred_at),
            event: event.event,
            outcome: event.outcome,
            user_id: event.user_id.map(|user| user.0),
            actor: event.actor,
            subject: event.subject,
            ip: event.ip,
            user_agent: event.user_agent,
            request_id: event.request_id,
            detail: event.detail,
        }
    }
}

shared_queries! {
    /// Recording inside the transaction of the cause.
    trait AuditQueries {
        async fn record(conn, event: AuditEvent) -> Result<(), StoreError> {
            let row = NewAuditRow::from(event);
            diesel::insert_into(audit_events::table).values(row).execute(conn).await?;
            Ok(())
        }
    }
}

impl Store {
    /// Records an event that has no other write to go with.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, recorded.
    pub async fn record_audit_event(&self, event: AuditEvent) -> Result<(), StoreError> {
        writing!(self, |conn| conn.record(event).await)
    }

    /// Records events that happened together.
    ///
    /// # Errors
    /// [`StoreError`] when they were not, or perhaps not, recorded.
    pub async fn record_audit_events(&self, events: Vec<AuditEvent>) -> Result<(), StoreError> {
        writing!(self, |conn| {
            for event in events {
                conn.record(event).await?;
            }
            Ok(())
        })
    }

    /// A user's newest events, newest first; everyone's when `user` is absent.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn list_audit_events(
        &self,
        user: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        reading!(self, |conn| {
            let mut query = audit_events::table
                .select(AuditRow::as_select())
                .order(audit_events::id.desc())
                .limit(limit)
                .into_boxed();
            if let Some(user) = user {
                query = query.filter(audit_events::user_id.eq(user.0));
            }
            Ok(query.load(conn).await?)
        })
    }

    /// A user's newest events but those of refreshes, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn list_account_events(&self, user: UserId, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        const REFRESHES: [&str; 2] = ["session.refreshed", "session.refresh_repeated"];
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        reading!(self, |conn| {
            let query = audit_events::table
                .filter(audit_events::user_id.eq(user.0))
                .filter(audit_events::event.ne_all(REFRESHES))
                .select(AuditRow::as_select())
                .order(audit_events::id.desc())
                .limit(limit);
            Ok(query.load(conn).await?)
        })
    }
}
