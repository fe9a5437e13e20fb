//! Ending deliveries without an attempt, and taking them out of the prompt lane.

use cryptopay_domain::Timestamp;
use cryptopay_domain::delivery::DeliveryStatus;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::StoreError;
use crate::delivery_record::DeliveryLocks;
use crate::moment::At;
use crate::schema::webhook_deliveries;
use crate::statement::{Dialect, Dialects};

/// Ends what is pending for endpoints. So many at a time: the rest, should there be more, ends when its turn
/// comes.
const FAIL_PENDING: Dialects = Dialects {
    sqlite: "UPDATE webhook_deliveries SET status = 'failed', next_attempt_at = NULL, due_at = NULL, ended_at = ? \
             WHERE id IN (SELECT id FROM webhook_deliveries WHERE due_at IS NOT NULL AND lane IN (0, 1) \
             AND endpoint_id IN (SELECT value FROM json_each(?)) LIMIT 10000)",
    postgres: "UPDATE webhook_deliveries \
               SET status = 'failed', next_attempt_at = NULL, due_at = NULL, ended_at = ? \
               WHERE id = ANY(ARRAY(SELECT id FROM webhook_deliveries WHERE due_at IS NOT NULL AND lane IN (0, 1) \
               AND endpoint_id = ANY(ARRAY(SELECT json_array_elements_text(?::json))) \
               LIMIT 10000 FOR UPDATE SKIP LOCKED))",
};

/// Clears the prompt way of what waits for endpoints that fail, so many at a time.
const MAKE_PATIENT: Dialects = Dialects {
    sqlite: "UPDATE webhook_deliveries SET lane = 1 \
             WHERE id IN (SELECT id FROM webhook_deliveries INDEXED BY webhook_deliveries_pending \
             WHERE due_at IS NOT NULL AND lane = 0 AND endpoint_id IN (SELECT value FROM json_each(?)) LIMIT 1000)",
    postgres: "UPDATE webhook_deliveries SET lane = 1 \
               WHERE id = ANY(ARRAY(SELECT id FROM webhook_deliveries WHERE due_at IS NOT NULL AND lane = 0 \
               AND endpoint_id = ANY(ARRAY(SELECT json_array_elements_text(?::json))) \
               LIMIT 1000 FOR UPDATE SKIP LOCKED))",
};

shared_queries! {
    /// What becomes of deliveries on account of their endpoints.
    trait EndOfDeliveries {
        /// Ends what is pending for endpoints that take no more.
        async fn fail_pending(conn, endpoints: Vec<String>, now: Timestamp) -> Result<(), StoreError> {
            if !endpoints.is_empty() {
                conn.statement(FAIL_PENDING).moment(now).json(&endpoints)?.execute(conn).await?;
            }
            Ok(())
        }

        /// Takes what waits for endpoints that fail out of the prompt lane.
        async fn make_patient(conn, endpoints: Vec<String>) -> Result<(), StoreError> {
            if !endpoints.is_empty() {
                conn.statement(MAKE_PATIENT).json(&endpoints)?.execute(conn).await?;
            }
            Ok(())
        }

        /// Ends those of the deliveries that are pending.
        async fn fail_deliveries(conn, ids: Vec<String>, now: Timestamp) -> Result<(), StoreError> {
            conn.lock_deliveries(ids.clone()).await?;
            diesel::update(webhook_deliveries::table.filter(webhook_deliveries::id.eq_any(ids)))
                .filter(webhook_deliveries::due_at.is_not_null())
                .set((
                    webhook_deliveries::status.eq(DeliveryStatus::Failed.as_str()),
                    webhook_deliveries::next_attempt_at.eq(None::<At>),
                    webhook_deliveries::due_at.eq(None::<At>),
                    webhook_deliveries::ended_at.eq(Some(At(now))),
                ))
                .execute(conn)
                .await?;
            Ok(())
        }
    }
}
