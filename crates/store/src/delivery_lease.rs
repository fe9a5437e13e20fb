//! Leases: which worker attempts which delivery, and until when nobody else does.
//!
//! A lease is nothing but a later `due_at`. A worker that vanishes leaves its deliveries due again at that
//! moment, for any replica to take.

use std::collections::{HashMap, HashSet};

use cryptopay_domain::webhook_endpoint::EndpointStatus;
use cryptopay_domain::{
    DeliveryId, EventType, Timestamp, WebhookEndpoint, WebhookEndpointId, WebhookEventId,
};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;

use crate::delivery::Lane;
use crate::delivery_end::EndOfDeliveries;
use crate::delivery_parking::Parking;
use crate::moment::At;
use crate::schema::{webhook_deliveries, webhook_endpoints, webhook_events};
use crate::statement::{Dialect, Dialects};
use crate::webhook_endpoint_row::EndpointRow;
use crate::{Store, StoreError};

/// How often the queue is looked through for one request.
const LOOKS: usize = 4;

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
}

/// A delivery to be attempted.
#[derive(Clone, Debug)]
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
struct Candidate {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    endpoint_id: String,
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

/// What is due, longest waiting first. Nothing is taken yet, so SQLite's one writer is left alone while there
/// is nothing to do.
const DUE: Dialects = Dialects {
    sqlite: "SELECT id, endpoint_id FROM webhook_deliveries WHERE lane = ? AND due_at <= ? \
             AND endpoint_id NOT IN (SELECT value FROM json_each(?)) ORDER BY due_at LIMIT ?",
    postgres: "SELECT id, endpoint_id FROM webhook_deliveries WHERE lane = ? AND due_at <= ? \
               AND endpoint_id NOT IN (SELECT json_array_elements_text(?::json)) ORDER BY due_at LIMIT ?",
};

/// Of what was due, what still is; what another replica is taking at this moment is passed by.
const TAKE: Dialects = Dialects {
    // The unary plus: the rows are to be found by their keys.
    sqlite: "UPDATE webhook_deliveries SET due_at = ?, parked = 0 \
             WHERE +due_at <= ? AND id IN (SELECT value FROM json_each(?)) RETURNING id",
    postgres: "UPDATE webhook_deliveries SET due_at = ?, parked = 0 \
               WHERE id = ANY(ARRAY(SELECT id FROM webhook_deliveries \
               WHERE due_at <= ? AND id = ANY(ARRAY(SELECT json_array_elements_text(?::json))) \
               FOR UPDATE SKIP LOCKED)) RETURNING id",
};

impl Store {
    /// Takes due deliveries for a worker. No two workers ever have the same one at once, unless a lease has
    /// run out.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer; what was taken all the same is due again when its
    /// lease ends.
    pub async fn lease_deliveries(&self, request: LeaseRequest) -> Result<Vec<LeasedDelivery>, StoreError> {
        let (now, leased_until) = (request.now, request.leased_until);
        self.clear_the_way(&request).await?;
        let chosen: Vec<String> = self.choose_due(request).await?;
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let taken: Vec<Taken> = writing!(self, |conn| {
            let take = conn.statement(TAKE).moment(leased_until).moment(now).json(&chosen)?;
            Ok(take.load(conn).await?)
        })?;
        self.load_leased(taken.into_iter().map(|taken| taken.id).collect(), leased_until, now).await
    }

    /// Parks what would otherwise be stepped over at every look.
    async fn clear_the_way(&self, request: &LeaseRequest) -> Result<(), StoreError> {
        let (lane, now) = (request.lane, request.now);
        let full: Vec<String> = request.except.iter().map(ToString::to_string).collect();
        let crowd: Vec<String> = reading!(self, |conn| conn.find_crowd(lane, full, now).await)?;
        if crowd.is_empty() {
            return Ok(());
        }
        writing!(self, |conn| conn.park(crowd, now).await)
    }

    /// Chooses from what is due. An endpoint that has its share is passed by from then on, so that its
    /// backlog hides nobody else's deliveries.
    async fn choose_due(&self, request: LeaseRequest) -> Result<Vec<String>, StoreError> {
        let LeaseRequest { lane, now, limit, per_endpoint, .. } = request;
        let mut except: HashSet<String> = request.except.iter().map(ToString::to_string).collect();
        let mut shares: HashMap<String, usize> = HashMap::new();
        let mut chosen: Vec<String> = Vec::new();
        for _ in 0..LOOKS {
            let passed_by: Vec<String> = except.iter().cloned().collect();
            let many = i64::try_from(limit).unwrap_or(i64::MAX);
            let found: Vec<Candidate> = reading!(self, |conn| {
                let lane = i64::from(lane.to_row());
                let due = conn.statement(DUE).number(lane).moment(now).json(&passed_by)?.number(many);
                Ok(due.load(conn).await?)
            })?;
            let is_all = found.len() < limit;
            let known: HashSet<String> = chosen.iter().cloned().collect();
            for candidate in found.into_iter().filter(|candidate| !known.contains(&candidate.id)) {
                let share = shares.entry(candidate.endpoint_id.clone()).or_default();
                if *share < per_endpoint && chosen.len() < limit {
                    *share += 1;
                    chosen.push(candidate.id);
                } else {
                    except.insert(candidate.endpoint_id);
                }
            }
            if is_all || chosen.len() >= limit {
                break;
            }
        }
        Ok(chosen)
    }

    /// Loads what was taken. What was on its way to an endpoint that was disabled or deleted meanwhile ends
    /// here.
    async fn load_leased(
        &self,
        ids: Vec<String>,
        leased_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<LeasedDelivery>, StoreError> {
        type Row = (LeasedRow, (String, Vec<u8>), EndpointRow, Option<At>);
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
        let mut pointless: Vec<String> = Vec::new();
        for (row, (event_type, body), endpoint, deleted_at) in rows {
            let readable = WebhookEndpoint::try_from(endpoint)
                .and_then(|endpoint| leased_delivery(&row, &event_type, body, leased_until, endpoint));
            match readable {
                Ok(delivery)
                    if deleted_at.is_none() && delivery.endpoint.status == EndpointStatus::Enabled =>
                {
                    leased.push(delivery);
                }
                Ok(_) => pointless.push(row.id),
                // A later version's, perhaps, whose replica takes it when this lease ends: the others go on.
                Err(error) => tracing::error!(delivery = row.id, %error, "a delivery cannot be made"),
            }
        }
        if !pointless.is_empty() {
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
