//! Clearing away what nobody needs any more, so that no table grows for ever.

use std::collections::BTreeSet;
use std::time::Duration;

use cryptopay_domain::api_key_usage::{DAYS_KEPT, Day};
use cryptopay_domain::idempotency_key::ANSWER_KEPT;
use cryptopay_domain::{DeliveryId, Timestamp, UserId};
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde::Serialize;

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

/// What went with a piece of deliveries.
struct ClearedDeliveries {
    deliveries: usize,
    events: usize,
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

/// Removes one piece of the deliveries that a filter finds, unless it no longer finds them, and the events that nobody
/// needs after that.
macro_rules! clear_deliveries {
    ($store:expr, $filter:expr) => {
        writing!($store, |conn| {
            let found: Vec<(String, String)> = webhook_deliveries::table
                .filter($filter)
                .select((webhook_deliveries::id, webhook_deliveries::event_id))
                .order(webhook_deliveries::id)
                .limit(PIECE)
                .load(conn)
                .await?;
            let (ids, events): (Vec<String>, BTreeSet<String>) = found.into_iter().unzip();
            let piece = webhook_deliveries::table.filter(webhook_deliveries::id.eq_any(ids)).filter($filter);
            let deliveries: usize = diesel::delete(piece).execute(conn).await?;
            Ok(ClearedDeliveries {
                deliveries,
                events: conn.clear_events(events.into_iter().collect()).await?,
            })
        })?
    };
}

/// Where an event's deliveries are, as it goes into a statement.
#[derive(Serialize)]
struct DeliveriesOfEvent {
    event: String,
    first: String,
    last: String,
}

const CLEAR_EVENTS: Dialects = Dialects {
    sqlite: "DELETE FROM webhook_events WHERE id IN (SELECT value ->> 'event' FROM json_each(?) \
             WHERE NOT EXISTS (SELECT 1 FROM webhook_deliveries AS d \
             WHERE d.id BETWEEN value ->> 'first' AND value ->> 'last'))",
    postgres: "DELETE FROM webhook_events WHERE id = ANY(ARRAY(SELECT e.event \
               FROM json_to_recordset(?::json) AS e(event text, first text, last text) \
               WHERE NOT EXISTS (SELECT FROM webhook_deliveries AS d WHERE d.id BETWEEN e.first AND e.last)))",
};

locking_queries! {
    /// Taking events.
    trait EventLocks {
        async fn lock_events(ids: Vec<String>) -> Vec<String> = {
            webhook_events::table
                .filter(webhook_events::id.eq_any(ids))
                .order(webhook_events::id)
                .select(webhook_events::id)
        }.for_no_key_update();
    }
}

shared_queries! {
    /// Clearing events away.
    trait EventQueries {
        /// Removes those of the events that have no delivery any more.
        async fn clear_events(conn, ids: Vec<String>) -> Result<usize, StoreError> {
            if ids.is_empty() {
                return Ok(0);
            }
            // Whoever clears away another delivery of the same event has either been seen to, or waits here and sees us.
            let ids: Vec<String> = conn.lock_events(ids).await?;
            let mut events: Vec<DeliveriesOfEvent> = Vec::with_capacity(ids.len());
            for event in ids {
                let id = event.parse().map_err(|_| StoreError::Corrupt { table: "webhook_events", what: "id" })?;
                let (first, last) = (DeliveryId::of(id, 0).to_string(), DeliveryId::of(id, u8::MAX).to_string());
                events.push(DeliveriesOfEvent { event, first, last });
            }
            Ok(conn.statement(CLEAR_EVENTS).json(&events)?.execute(conn).await?)
        }
    }
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
        let ClearedDeliveries { deliveries, events } = self.clear_deliveries(now).await?;
        Ok(Cleared {
            sessions: ended + expired,
            api_keys: self.clear_api_keys(now).await?,
            api_key_days: self.clear_api_key_days(now).await?,
            revocations: clear_piece!(self, revocations, i64, revocations::forget_after.lt(At(now))),
            audit_events: clear_piece!(self, audit_events, i64, audit_events::occurred_at.lt(audit_over)),
            login_attempts: self.clear_attempts(now).await?,
            idempotency_answers: self.clear_answers(now).await?,
            deliveries,
            events,
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

    /// Removes one piece of the deliveries that are over, with their attempts and, with the last of its deliveries, each
    /// event.
    async fn clear_deliveries(&self, now: Timestamp) -> Result<ClearedDeliveries, StoreError> {
        let over = Some(At(now.before(DELIVERIES_KEPT)));
        let deleted = Some(At(now.before(ENDPOINTS_KEPT)));
        let ended: ClearedDeliveries = clear_deliveries!(self, webhook_deliveries::ended_at.lt(over));
        let of_deleted: ClearedDeliveries = clear_deliveries!(
            self,
            webhook_deliveries::endpoint_id.eq_any(
                webhook_endpoints::table
                    .filter(webhook_endpoints::deleted_at.lt(deleted))
                    .select(webhook_endpoints::id)
            )
        );
        Ok(ClearedDeliveries {
            deliveries: ended.deliveries + of_deleted.deliveries,
            events: ended.events + of_deleted.events,
        })
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
