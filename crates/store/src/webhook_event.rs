//! The outbox: an event is written in the transaction of its cause, with a delivery for each endpoint that
//! wants to hear of it.

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::{
    Delivery, DeliveryId, EventType, Timestamp, UserId, WebhookEndpointId, WebhookEventId,
};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::delivery::Lane;
use crate::moment::At;
use crate::postgres::PgConn;
use crate::schema::webhook_endpoints;
use crate::sqlite::SqliteConn;
use crate::statement::Statement;
use crate::webhook_endpoint::EndpointQueries;
use crate::{Store, StoreError};

/// Something that endpoints are to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its identifier.
    pub id: WebhookEventId,
    /// What happened.
    pub event_type: EventType,
    /// The exact bytes that are delivered.
    pub body: Vec<u8>,
    /// When.
    pub created_at: Timestamp,
}

/// A delivery to be made.
#[derive(Serialize)]
pub(crate) struct NewDelivery {
    id: String,
    endpoint_id: String,
    lane: i16,
}

/// An endpoint that wants to hear of an event.
pub(crate) struct Listener {
    endpoint: WebhookEndpointId,
    failing_since: Option<Timestamp>,
}

/// A delivery to each of the listeners. What is failing already goes the patient way from the first attempt.
pub(crate) fn fan_out(listeners: Vec<Listener>, mut id: impl FnMut() -> DeliveryId) -> Vec<NewDelivery> {
    let delivery = |listener: Listener| {
        let lane = if listener.failing_since.is_some() { Lane::Patient } else { Lane::Prompt };
        NewDelivery { id: id().to_string(), endpoint_id: listener.endpoint.to_string(), lane: lane.to_row() }
    };
    listeners.into_iter().map(delivery).collect()
}

// A first attempt is due at once: everything that is a moment in a new delivery is the event's.

const SQLITE_INSERT_EVENT: &str =
    "INSERT INTO webhook_events (id, event_type, body, created_at) VALUES (?, ?, ?, ?)";
const SQLITE_INSERT_DELIVERIES: &str = "INSERT INTO webhook_deliveries (id, event_id, endpoint_id, status, lane, tries, \
     plan_started_at, next_attempt_at, due_at, created_at) \
     SELECT value ->> 'id', e.id, value ->> 'endpoint_id', 'pending', value ->> 'lane', 0, \
     e.created_at, e.created_at, e.created_at, e.created_at \
     FROM webhook_events e, json_each(?) WHERE e.id = ?";
/// Both in one statement: each one more is a journey to the server that every order would wait for.
const POSTGRES_INSERT: &str = "WITH e AS (INSERT INTO webhook_events (id, event_type, body, created_at) \
     VALUES (?, ?, ?, ?) RETURNING id, created_at) \
     INSERT INTO webhook_deliveries (id, event_id, endpoint_id, status, lane, tries, \
     plan_started_at, next_attempt_at, due_at, created_at) \
     SELECT d.id, e.id, d.endpoint_id, 'pending', d.lane, 0, \
     e.created_at, e.created_at, e.created_at, e.created_at \
     FROM e, json_to_recordset(?::json) AS d(id text, endpoint_id text, lane smallint)";

/// Writing an event and its deliveries; without deliveries there is nothing to be told.
pub(crate) trait Outbox {
    fn insert_event(
        &mut self,
        event: NewEvent,
        deliveries: Vec<NewDelivery>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;
}

impl Outbox for SqliteConn {
    fn insert_event(
        &mut self,
        event: NewEvent,
        deliveries: Vec<NewDelivery>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if !deliveries.is_empty() {
                let id = event.id.to_string();
                with_event(SQLITE_INSERT_EVENT, event).execute(self).await?;
                Statement::new(SQLITE_INSERT_DELIVERIES).json(&deliveries)?.text(id).execute(self).await?;
            }
            Ok(())
        })
    }
}

impl Outbox for PgConn {
    fn insert_event(
        &mut self,
        event: NewEvent,
        deliveries: Vec<NewDelivery>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if !deliveries.is_empty() {
                with_event(POSTGRES_INSERT, event).json(&deliveries)?.execute(self).await?;
            }
            Ok(())
        })
    }
}

/// Whether a filter's row admits an event. It may name events that only a later version knows: no order fails
/// of that.
fn names(events: &str, event: EventType) -> bool {
    events.split(',').any(|name| name == event.as_str() || name == "*")
}

fn with_event(sql: &'static str, event: NewEvent) -> Statement {
    Statement::new(sql)
        .text(event.id.to_string())
        .text(event.event_type.as_str())
        .binary(event.body)
        .moment(event.created_at)
}

shared_queries! {
    /// Who is to be told.
    trait ListenerQueries {
        /// The merchant's enabled endpoints that want to hear of an event.
        ///
        /// They are read without a lock: an order never waits for a change of an endpoint. What is disabled
        /// or deleted in the same moment may still get a delivery, which fails when its turn comes.
        async fn listeners(conn, user: UserId, event: EventType) -> Result<Vec<Listener>, StoreError> {
            let rows: Vec<(String, String, Option<At>)> = webhook_endpoints::table
                .filter(webhook_endpoints::user_id.eq(user.0))
                .filter(webhook_endpoints::disabled_reason.is_null())
                .filter(webhook_endpoints::deleted_at.is_null())
                .select((webhook_endpoints::id, webhook_endpoints::events, webhook_endpoints::failing_since))
                .load(conn)
                .await?;
            let mut listening = Vec::with_capacity(rows.len());
            for (id, events, failing_since) in rows {
                if names(&events, event) {
                    let corrupt = |_| StoreError::Corrupt { table: "webhook_endpoints", what: "id" };
                    let endpoint = id.parse().map_err(corrupt)?;
                    listening.push(Listener { endpoint, failing_since: failing_since.map(Timestamp::from) });
                }
            }
            Ok(listening)
        }
    }
}

impl Store {
    /// Writes an event for one endpoint alone, whatever its filter, to be delivered at once; `None` when the
    /// merchant has no such endpoint.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn insert_test_delivery(
        &self,
        user: UserId,
        endpoint: WebhookEndpointId,
        event: NewEvent,
        delivery: DeliveryId,
    ) -> Result<Option<Delivery>, StoreError> {
        writing!(self, |conn| {
            if conn.find_endpoint(user, endpoint).await?.is_none() {
                return Ok(None);
            }
            let made = Delivery {
                id: delivery,
                event_id: event.id,
                event_type: event.event_type,
                endpoint_id: endpoint,
                status: DeliveryStatus::Pending,
                attempts: Vec::new(),
                next_attempt_at: Some(event.created_at),
                created_at: event.created_at,
            };
            // The prompt way even if it is failing: somebody waits for what this one says.
            let listener = Listener { endpoint, failing_since: None };
            conn.insert_event(event, fan_out(vec![listener], || delivery)).await?;
            Ok(Some(made))
        })
    }
}
