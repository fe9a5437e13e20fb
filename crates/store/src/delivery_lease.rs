//! Leases: which worker attempts which delivery, and until when nobody else does.
//!
//! A lease is nothing but a later `due_at`. A worker that vanishes leaves its deliveries due again at that
//! moment, for any replica to take.

use std::collections::BTreeSet;

use cryptopay_domain::webhook_endpoint::EndpointStatus;
use cryptopay_domain::{
    DeliveryId, EventType, Timestamp, WebhookEndpoint, WebhookEndpointId, WebhookEventId,
};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;

use crate::delivery::Lane;
use crate::delivery_due::{Due, DueQueries};
use crate::delivery_end::EndOfDeliveries;
use crate::moment::At;
use crate::schema::{webhook_deliveries, webhook_endpoints, webhook_events};
use crate::statement::{Dialect, Dialects};
use crate::webhook_endpoint_row::EndpointRow;
use crate::{Store, StoreError};

/// What a worker has room for.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// From this lane.
    pub lane: Lane,
    /// What is due by now.
    pub now: Timestamp,
    /// When others may take it, if nothing has been heard of it by then.
    pub leased_until: Timestamp,
    /// At most so many deliveries.
    pub limit: usize,
    /// At most so many for one endpoint.
    pub per_endpoint: usize,
    /// None for these endpoints.
    pub except: Vec<WebhookEndpointId>,
    /// Only for endpoints beyond this one, in the order of their identifiers: where the last look came to.
    pub after: Option<WebhookEndpointId>,
}

/// What was leased.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The deliveries.
    pub deliveries: Vec<LeasedDelivery>,
    /// How far the look came; `None` when it reached the last of the endpoints for which anything is pending.
    pub reached: Option<WebhookEndpointId>,
}

/// A delivery to be attempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedDelivery {
    /// Which.
    pub id: DeliveryId,
    /// The event.
    pub event_id: WebhookEventId,
    /// Its type.
    pub event_type: EventType,
    /// The exact bytes to post.
    pub body: Vec<u8>,
    /// How often it has been attempted since the retry plan was begun.
    pub tries: u32,
    /// When the retry plan was begun.
    pub plan_started_at: Timestamp,
    /// The end of the lease; it is what tells this lease from a later one.
    pub leased_until: Timestamp,
    /// Where to, and what to sign with. It is enabled.
    pub endpoint: WebhookEndpoint,
}

#[derive(QueryableByName)]
struct Taken {
    #[diesel(sql_type = Text)]
    id: String,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_deliveries)]
struct LeasedRow {
    id: String,
    event_id: String,
    tries: i64,
    plan_started_at: At,
}

/// Of what was due, what still is; what another replica is taking at this moment is passed by.
const TAKE: Dialects = Dialects {
    // The unary plus: the rows are to be found by their keys.
    sqlite: "UPDATE webhook_deliveries SET due_at = ? \
             WHERE +due_at <= ? AND id IN (SELECT value FROM json_each(?)) RETURNING id",
    postgres: "UPDATE webhook_deliveries SET due_at = ? \
               WHERE id = ANY(ARRAY(SELECT id FROM webhook_deliveries \
               WHERE due_at <= ? AND id = ANY(ARRAY(SELECT json_array_elements_text(?::json))) \
               FOR UPDATE SKIP LOCKED)) RETURNING id",
};

impl Store {
    /// Takes due deliveries for a worker. No two workers ever have the same one at once, unless a lease has
    /// run out. Nothing is written, and SQLite's one writer is left alone, while there is nothing to take.
    ///
    /// A look passes a bounded number of endpoints; whoever goes on from where it came to will have been to all
    /// of them.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer; what was taken all the same is due again when its
    /// lease ends.
    pub async fn lease_deliveries(&self, request: LeaseRequest) -> Result<Lease, StoreError> {
        let (now, leased_until) = (request.now, request.leased_until);
        let Due { ids, reached } = reading!(self, |conn| conn.find_due(request).await)?;
        if ids.is_empty() {
            return Ok(Lease { deliveries: Vec::new(), reached });
        }
        let taken: Vec<Taken> = writing!(self, |conn| {
            let take = conn.statement(TAKE).moment(leased_until).moment(now).json(&ids)?;
            Ok(take.load(conn).await?)
        })?;
        let taken = taken.into_iter().map(|taken| taken.id).collect();
        let deliveries = self.load_leased(taken, leased_until, now).await?;
        Ok(Lease { deliveries, reached })
    }

    /// Loads what was taken. What was on its way to an endpoint that was disabled or deleted meanwhile ends here, and so
    /// does what belongs to rows that somebody removed by hand.
    async fn load_leased(
        &self,
        ids: Vec<String>,
        leased_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<LeasedDelivery>, StoreError> {
        type Row = (LeasedRow, (String, Vec<u8>), EndpointRow, Option<At>);
        let mut pointless: BTreeSet<String> = ids.iter().cloned().collect();
        let rows: Vec<Row> = reading!(self, |conn| {
            let query = webhook_deliveries::table
                .inner_join(webhook_events::table)
                .inner_join(webhook_endpoints::table)
                .filter(webhook_deliveries::id.eq_any(ids))
                .order((webhook_deliveries::next_attempt_at, webhook_deliveries::id))
                .select((
                    LeasedRow::as_select(),
                    (webhook_events::event_type, webhook_events::body),
                    EndpointRow::as_select(),
                    webhook_endpoints::deleted_at,
                ));
            Ok(query.load(conn).await?)
        })?;
        let mut leased = Vec::with_capacity(rows.len());
        for (row, (event_type, body), endpoint, deleted_at) in rows {
            pointless.remove(&row.id);
            let readable = WebhookEndpoint::try_from(endpoint)
                .and_then(|endpoint| leased_delivery(&row, &event_type, body, leased_until, endpoint));
            match readable {
                Ok(delivery)
                    if deleted_at.is_none() && delivery.endpoint.status == EndpointStatus::Enabled =>
                {
                    leased.push(delivery);
                }
                Ok(_) => {
                    pointless.insert(row.id);
                }
                // A later version's, perhaps, whose replica takes it when this lease ends: the others go on.
                Err(error) => tracing::error!(delivery = row.id, %error, "a delivery cannot be made"),
            }
        }
        if !pointless.is_empty() {
            let pointless = pointless.into_iter().collect();
            writing!(self, |conn| conn.fail_deliveries(pointless, now).await)?;
        }
        Ok(leased)
    }
}

fn leased_delivery(
    row: &LeasedRow,
    event_type: &str,
    body: Vec<u8>,
    leased_until: Timestamp,
    endpoint: WebhookEndpoint,
) -> Result<LeasedDelivery, StoreError> {
    let corrupt = |what| StoreError::Corrupt { table: "webhook_deliveries", what };
    Ok(LeasedDelivery {
        id: row.id.parse().map_err(|_| corrupt("id"))?,
        event_id: row.event_id.parse().map_err(|_| corrupt("event id"))?,
        event_type: event_type.parse().map_err(|_| corrupt("event type"))?,
        body,
        tries: u32::try_from(row.tries).map_err(|_| corrupt("tries"))?,
        plan_started_at: row.plan_started_at.0,
        leased_until,
        endpoint,
    })
}
