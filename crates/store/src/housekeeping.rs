//! Clearing away what nobody needs any more, so that no table grows for ever.

use std::time::Duration;

use cryptopay_domain::api_key_usage::{DAYS_KEPT, Day};
use cryptopay_domain::idempotency_key::ANSWER_KEPT;
use cryptopay_domain::{Timestamp, UserId};
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::moment::At;
use crate::schema::{
    api_keys, audit_events, installation, revocations, sessions, webhook_deliveries, webhook_endpoints,
    webhook_events,
};
use crate::statement::{Dialect, Dialects};
use crate::user::UserQueries;
use crate::{Store, StoreError};

/// Rows removed at a time, so that no other write waits long.
const PIECE: i64 = 500;
/// How long a delivery can be read, and sent again, after it ended.
const DELIVERIES_KEPT: Duration = Duration::from_secs(90 * 86_400);
/// How long the rows of a deleted endpoint stay: longer than any transaction that still saw it.
const ENDPOINTS_KEPT: Duration = Duration::from_secs(3600);
/// Answers stay an hour longer than they count, for the sake of replicas whose clocks are behind.
const ANSWERS_KEPT: Duration = ANSWER_KEPT.saturating_add(Duration::from_secs(3600));
/// Counters stay five minutes longer than they count, for the sake of replicas whose clocks are behind.
const ATTEMPTS_KEPT: Duration = Duration::from_secs(300);

/// What was cleared away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Sessions that ended or expired.
    pub sessions: usize,
    /// API keys that are no longer listed.
    pub api_keys: usize,
    /// Days of API keys' use that are no longer kept.
    pub api_key_days: usize,
    /// Feed rows whose tokens have all expired.
    pub revocations: usize,
    /// Audit events that are older than they are kept.
    pub audit_events: usize,
    /// Counters of login attempts that count nothing any more.
    pub login_attempts: usize,
    /// Answers of requests that may no longer be sent again.
    pub idempotency_answers: usize,
    /// Deliveries that ended, with their attempts, and those of deleted endpoints.
    pub deliveries: usize,
    /// Events that no delivery needs any more.
    pub events: usize,
    /// Endpoints that were deleted.
    pub endpoints: usize,
}

impl Cleared {
    /// All rows together.
    #[must_use]
    pub const fn total(self) -> usize {
        self.sessions
            + self.api_keys
            + self.api_key_days
            + self.revocations
            + self.audit_events
            + self.login_attempts
            + self.idempotency_answers
            + self.deliveries
            + self.events
            + self.endpoints
    }
}

/// Removes one piece of the rows that a filter finds, by their keys, unless it no longer finds them.
macro_rules! clear_piece {
    ($store:expr, $table:ident, $id:ty, $filter:expr) => {
        writing!($store, |conn| {
            let ids: Vec<$id> =
                $table::table.filter($filter).select($table::id).limit(PIECE).load(conn).await?;
            let piece = $table::table.filter($table::id.eq_any(ids)).filter($filter);
            Ok(diesel::delete(piece).execute(conn).await?)
        })?
    };
}

/// Their rows have no one column that is their key.
const CLEAR_API_KEY_DAYS: Dialects = Dialects {
    sqlite: "DELETE FROM api_key_days WHERE rowid IN (SELECT rowid FROM api_key_days WHERE day <= ? LIMIT ?)",
    postgres: "DELETE FROM api_key_days WHERE ctid = ANY(ARRAY( \
               SELECT ctid FROM api_key_days WHERE day <= ? LIMIT ? FOR UPDATE SKIP LOCKED))",
};
const CLEAR_ANSWERS: Dialects = Dialects {
    sqlite: "DELETE FROM idempotency_answers WHERE rowid IN \
             (SELECT rowid FROM idempotency_answers WHERE created_at < ? LIMIT ?)",
    postgres: "DELETE FROM idempotency_answers WHERE ctid = ANY(ARRAY( \
               SELECT ctid FROM idempotency_answers WHERE created_at < ? LIMIT ? FOR UPDATE SKIP LOCKED))",
};

/// What somebody is counting by at this moment is left alone: whoever takes several counters takes them in order, and
/// this does not.
const CLEAR_ATTEMPTS: Dialects = Dialects {
    sqlite: "DELETE FROM login_attempts WHERE rowid IN \
             (SELECT rowid FROM login_attempts WHERE forget_after < ? LIMIT ?)",
    postgres: "DELETE FROM login_attempts WHERE ctid = ANY(ARRAY( \
               SELECT ctid FROM login_attempts WHERE forget_after < ? LIMIT ? FOR UPDATE SKIP LOCKED))",
};

impl Store {
    /// Clears away one piece of each table; call again while [`Cleared::total`] is not zero.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn clear_away(&self, now: Timestamp, audit_kept: Duration) -> Result<Cleared, StoreError> {
        let longest: i64 = reading!(self, |conn| {
            Ok(installation::table.select(installation::longest_access_ttl).first(conn).await?)
        })?;
        // A session is needed for as long as one of its access tokens may be checked in the store.
        let over = At(now.before(Duration::from_secs(u64::try_from(longest).unwrap_or(0) + 300)));
        let audit_over = At(now.before(audit_kept));
        let ended: usize = clear_piece!(self, sessions, String, sessions::ended_at.lt(Some(over)));
        let expired: usize = clear_piece!(self, sessions, String, sessions::expires_at.lt(over));
        let deliveries = self.clear_deliveries(now).await?;
        Ok(Cleared {
            sessions: ended + expired,
            api_keys: self.clear_api_keys(now).await?,
            api_key_days: self.clear_api_key_days(now).await?,
            revocations: clear_piece!(self, revocations, i64, revocations::forget_after.lt(At(now))),
            audit_events: clear_piece!(self, audit_events, i64, audit_events::occurred_at.lt(audit_over)),
            login_attempts: self.clear_attempts(now).await?,
            idempotency_answers: self.clear_answers(now).await?,
            deliveries,
            events: self.clear_events(now).await?,
            endpoints: self.clear_endpoints(now).await?,
        })
    }

    async fn clear_attempts(&self, now: Timestamp) -> Result<usize, StoreError> {
        writing!(self, |conn| {
            let clear = conn.statement(CLEAR_ATTEMPTS).moment(now.before(ATTEMPTS_KEPT)).number(PIECE);
            Ok(clear.execute(conn).await?)
        })
    }

    async fn clear_api_key_days(&self, now: Timestamp) -> Result<usize, StoreError> {
        let over = Day::of(now).before(DAYS_KEPT).to_string();
        writing!(self, |conn| {
            Ok(conn.statement(CLEAR_API_KEY_DAYS).text(over).number(PIECE).execute(conn).await?)
        })
    }

    async fn clear_answers(&self, now: Timestamp) -> Result<usize, StoreError> {
        writing!(self, |conn| {
            let clear = conn.statement(CLEAR_ANSWERS).moment(now.before(ANSWERS_KEPT)).number(PIECE);
            Ok(clear.execute(conn).await?)
        })
    }

    /// Attempts go with their deliveries.
    async fn clear_deliveries(&self, now: Timestamp) -> Result<usize, StoreError> {
        let over = Some(At(now.before(DELIVERIES_KEPT)));
        let deleted = Some(At(now.before(ENDPOINTS_KEPT)));
        let ended: usize =
            clear_piece!(self, webhook_deliveries, String, webhook_deliveries::ended_at.lt(over));
        let of_deleted: usize = clear_piece!(
            self,
            webhook_deliveries,
            String,
            webhook_deliveries::endpoint_id.eq_any(
                webhook_endpoints::table
                    .filter(webhook_endpoints::deleted_at.lt(deleted))
                    .select(webhook_endpoints::id)
            )
        );
        Ok(ended + of_deleted)
    }

    async fn clear_events(&self, now: Timestamp) -> Result<usize, StoreError> {
        let over = At(now.before(DELIVERIES_KEPT));
        let cleared: usize = clear_piece!(
            self,
            webhook_events,
            String,
            webhook_events::created_at.lt(over).and(not(exists(
                webhook_deliveries::table.filter(webhook_deliveries::event_id.eq(webhook_events::id))
            )))
        );
        Ok(cleared)
    }

    async fn clear_endpoints(&self, now: Timestamp) -> Result<usize, StoreError> {
        let over = Some(At(now.before(ENDPOINTS_KEPT)));
        let cleared: usize = clear_piece!(
            self,
            webhook_endpoints,
            String,
            webhook_endpoints::deleted_at.lt(over).and(not(exists(
                webhook_deliveries::table.filter(webhook_deliveries::endpoint_id.eq(webhook_endpoints::id))
            )))
        );
        Ok(cleared)
    }

    /// Removes one piece of the keys that are no longer listed. The keys under one of them move up to the key
    /// that it was made with: they stay within that one's reach, and are revoked along with it.
    async fn clear_api_keys(&self, now: Timestamp) -> Result<usize, StoreError> {
        writing!(self, |conn| {
            let over = api_keys::listed_until.lt(Some(At(now)));
            let ids: Vec<String> =
                api_keys::table.filter(over).select(api_keys::id).limit(PIECE).load(conn).await?;
            let makers: Vec<(i64, Option<String>)> = api_keys::table
                .filter(api_keys::parent_id.eq_any(ids.clone()))
                .select((api_keys::user_id, api_keys::parent_id))
                .distinct()
                .order(api_keys::user_id)
                .load(conn)
                .await?;
            for (user, maker) in makers {
                // Nobody else changes the family meanwhile.
                conn.lock_enabled_user(UserId(user)).await?;
                let above = api_keys::table.filter(api_keys::id.nullable().eq(maker.clone()));
                let above: Option<String> = above.select(api_keys::parent_id).first(conn).await?;
                diesel::update(api_keys::table.filter(api_keys::parent_id.eq(maker)))
                    .set(api_keys::parent_id.eq(above))
                    .execute(conn)
                    .await?;
            }
            Ok(diesel::delete(api_keys::table.filter(api_keys::id.eq_any(ids))).execute(conn).await?)
        })
    }
}
