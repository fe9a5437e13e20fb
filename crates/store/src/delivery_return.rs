//! Leases that are given back before they end.

use cryptopay_domain::{DeliveryId, Timestamp};
use diesel_async::RunQueryDsl;
use serde::Serialize;

use crate::moment::At;
use crate::statement::{Dialect, Dialects};
use crate::{Store, StoreError};

/// Gives back what is still leased so.
const GIVE_BACK: Dialects = Dialects {
    sqlite: "UPDATE webhook_deliveries AS d SET due_at = d.next_attempt_at \
             FROM (SELECT value ->> 'id' AS id, value ->> 'leased_until' AS leased_until FROM json_each(?)) AS l \
             WHERE d.id = l.id AND +d.due_at = l.leased_until",
    postgres: "UPDATE webhook_deliveries AS d SET due_at = d.next_attempt_at WHERE d.id = ANY(ARRAY( \
               SELECT h.id FROM webhook_deliveries h \
               JOIN json_to_recordset(?::json) AS l(id text, leased_until timestamptz) \
               ON h.id = l.id AND h.due_at = l.leased_until ORDER BY h.id FOR UPDATE OF h))",
};

/// Puts off what is still leased so, into the patient lane.
const DEFER: Dialects = Dialects {
    sqlite: "UPDATE webhook_deliveries AS d SET lane = 1, next_attempt_at = ?, due_at = ? \
             FROM (SELECT value ->> 'id' AS id, value ->> 'leased_until' AS leased_until FROM json_each(?)) AS l \
             WHERE d.id = l.id AND +d.due_at = l.leased_until",
    postgres: "UPDATE webhook_deliveries AS d SET lane = 1, next_attempt_at = ?, due_at = ? \
               WHERE d.id = ANY(ARRAY(SELECT h.id FROM webhook_deliveries h \
               JOIN json_to_recordset(?::json) AS l(id text, leased_until timestamptz) \
               ON h.id = l.id AND h.due_at = l.leased_until ORDER BY h.id FOR UPDATE OF h))",
};

/// A lease, as it goes into a statement.
#[derive(Serialize)]
struct Lease {
    id: String,
    leased_until: At,
}

impl From<(DeliveryId, Timestamp)> for Lease {
    fn from((id, until): (DeliveryId, Timestamp)) -> Self {
        Self { id: id.to_string(), leased_until: At(until) }
    }
}

impl Store {
    /// Gives leases back, as a worker does that stops: what is still leased so is due again at once.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written; the leases then simply run out.
    pub async fn return_leases(&self, leases: Vec<(DeliveryId, Timestamp)>) -> Result<(), StoreError> {
        let leases: Vec<Lease> = leases.into_iter().map(Lease::from).collect();
        writing!(self, |conn| {
            conn.statement(GIVE_BACK).json(&leases)?.execute(conn).await?;
            Ok(())
        })
    }

    /// Gives leases back without a turn, as a worker does with what its endpoint has no room for: what is
    /// still leased so is due again at `due_at`, the patient way. No attempt was made, and the retry plan
    /// goes on.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written; the leases then simply run out.
    pub async fn defer_deliveries(
        &self,
        leases: Vec<(DeliveryId, Timestamp)>,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        let leases: Vec<Lease> = leases.into_iter().map(Lease::from).collect();
        writing!(self, |conn| {
            conn.statement(DEFER).moment(due_at).moment(due_at).json(&leases)?.execute(conn).await?;
            Ok(())
        })
    }
}
