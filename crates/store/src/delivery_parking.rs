//! Parking: an endpoint that has more waiting than it takes keeps most of it out of the way.
//!
//! Whoever looks for what is due has to step over what is due for endpoints that have no room. A dead
//! endpoint's backlog of days would make every look slow, for all merchants. So what such endpoints have
//! waiting beyond a few hundred deliveries is put off by an hour, and comes back by itself then, or as
//! attempts to its endpoint come to an end: two for each.

use std::collections::BTreeMap;
use std::time::Duration;

use cryptopay_domain::Timestamp;
use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::StoreError;
use crate::delivery::Lane;
use crate::postgres::PgConn;
use crate::sqlite::SqliteConn;
use crate::statement::{Dialect, Dialects, Statement};

/// What may be in the way of a look, of all endpoints without room together.
const IN_THE_WAY: usize = 256;
/// How many deliveries are parked at a time.
const PIECE: usize = 1000;
/// For how long, if nothing brings them back before.
const PARKED_FOR: Duration = Duration::from_secs(3600);

/// What is due for endpoints without room. The index by moment is the right one, since either nearly all that
/// is due is theirs or nothing is in the way. `INDEXED BY` holds SQLite to it, and `IS TRUE` keeps PostgreSQL
/// from making a join of it that goes by endpoint.
const CROWD: Dialects = Dialects {
    sqlite: "SELECT id FROM webhook_deliveries INDEXED BY webhook_deliveries_due WHERE lane = ? AND due_at <= ? \
             AND endpoint_id IN (SELECT value FROM json_each(?)) ORDER BY due_at LIMIT ?",
    postgres: "SELECT id FROM webhook_deliveries WHERE lane = ? AND due_at <= ? \
               AND (endpoint_id IN (SELECT json_array_elements_text(?::json))) IS TRUE ORDER BY due_at LIMIT ?",
};

const PARK: Dialects = Dialects {
    sqlite: "UPDATE webhook_deliveries SET lane = 1, parked = 1, due_at = ? \
             WHERE +due_at <= ? AND id IN (SELECT value FROM json_each(?))",
    postgres: "UPDATE webhook_deliveries SET lane = 1, parked = 1, due_at = ? \
               WHERE id = ANY(ARRAY(SELECT id FROM webhook_deliveries \
               WHERE due_at <= ? AND id = ANY(ARRAY(SELECT json_array_elements_text(?::json))) \
               FOR UPDATE SKIP LOCKED))",
};

const SQLITE_WITH_PARKED: &str = "SELECT value AS id FROM json_each(?) WHERE EXISTS (SELECT 1 FROM webhook_deliveries \
                                  WHERE endpoint_id = value AND lane = 1 AND parked = 1 AND due_at IS NOT NULL)";
const SQLITE_BRING_BACK: &str = "UPDATE webhook_deliveries SET parked = 0, due_at = next_attempt_at WHERE id IN \
                                 (SELECT id FROM webhook_deliveries INDEXED BY webhook_deliveries_pending \
                                 WHERE endpoint_id = ? AND lane = 1 AND parked = 1 AND due_at IS NOT NULL \
                                 ORDER BY next_attempt_at LIMIT ?)";
const POSTGRES_BRING_BACK: &str = "UPDATE webhook_deliveries SET parked = 0, due_at = next_attempt_at \
                                   WHERE id = ANY(ARRAY(SELECT p.id \
                                   FROM json_to_recordset(?::json) AS e(endpoint_id text, many bigint), \
                                   LATERAL (SELECT d.id FROM webhook_deliveries d \
                                   WHERE d.endpoint_id = e.endpoint_id AND d.lane = 1 AND d.parked = 1 \
                                   AND d.due_at IS NOT NULL \
                                   ORDER BY d.next_attempt_at LIMIT e.many FOR UPDATE SKIP LOCKED) AS p))";

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = Text)]
    id: String,
}

/// How many deliveries of an endpoint may come back, as it goes into a statement.
#[derive(Serialize)]
struct Room<'a> {
    endpoint_id: &'a str,
    many: i64,
}

shared_queries! {
    /// Clearing the way.
    trait Parking {
        /// What is in the way, beyond what may be; the longest waiting stays.
        async fn find_crowd(conn, lane: Lane, endpoints: Vec<String>, now: Timestamp)
            -> Result<Vec<String>, StoreError> {
            if endpoints.is_empty() {
                return Ok(Vec::new());
            }
            let many = i64::try_from(IN_THE_WAY + PIECE).unwrap_or(i64::MAX);
            let crowd = conn.statement(CROWD).number(i64::from(lane.to_row())).moment(now);
            let crowd: Vec<Id> = crowd.json(&endpoints)?.number(many).load(conn).await?;
            Ok(crowd.into_iter().skip(IN_THE_WAY).map(|row| row.id).collect())
        }

        async fn park(conn, deliveries: Vec<String>, now: Timestamp) -> Result<(), StoreError> {
            let until = now.after(PARKED_FOR);
            conn.statement(PARK).moment(until).moment(now).json(&deliveries)?.execute(conn).await?;
            Ok(())
        }
    }
}

/// Making room: for each endpoint, so many of its parked deliveries are due again as they were, oldest first.
pub(crate) trait Unparking {
    fn bring_back(&mut self, room: BTreeMap<String, usize>) -> BoxFuture<'_, Result<(), StoreError>>;
}

impl Unparking for SqliteConn {
    fn bring_back(&mut self, room: BTreeMap<String, usize>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let endpoints: Vec<&String> = room.keys().collect();
            let found: Vec<Id> = Statement::new(SQLITE_WITH_PARKED).json(&endpoints)?.load(self).await?;
            for endpoint in found {
                let many = room.get(&endpoint.id).map_or(0, |many| to_row(*many));
                Statement::new(SQLITE_BRING_BACK).text(endpoint.id).number(many).execute(self).await?;
            }
            Ok(())
        })
    }
}

impl Unparking for PgConn {
    fn bring_back(&mut self, room: BTreeMap<String, usize>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let rooms = room.iter().map(|(endpoint_id, many)| Room { endpoint_id, many: to_row(*many) });
            let rooms: Vec<Room<'_>> = rooms.collect();
            Statement::new(POSTGRES_BRING_BACK).json(&rooms)?.execute(self).await?;
            Ok(())
        })
    }
}

/// Two for each attempt: one takes its place, and one more lets an endpoint that has recovered take all it
/// can.
fn to_row(attempts: usize) -> i64 {
    i64::try_from(attempts.saturating_mul(2)).unwrap_or(i64::MAX)
}
