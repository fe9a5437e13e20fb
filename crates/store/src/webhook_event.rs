//! The outbox: an event is written in the transaction of its cause, with a delivery for each endpoint that
//! wants to hear of it.

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::{
    Delivery, DeliveryId, EventType, Timestamp, UserId, WebhookEndpoint, WebhookEndpointId, WebhookEventId,
};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::delivery::{Lane, LeasedDelivery};
use crate::moment::At;
use crate::postgres::PgConn;
use crate::schema::webhook_endpoints;
use crate::sqlite::SqliteConn;
use crate::statement::Statement;
use crate::webhook_endpoint::EndpointQueries;
use crate::webhook_endpoint_row::EndpointRow;
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

/// The deliveries that were written for an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// How many are due the prompt way, for any worker.
    pub prompt: usize,
    /// How many are due the patient way.
    pub patient: usize,
    /// Those that are leased to the caller.
    pub leased: Vec<LeasedDelivery>,
}

/// A delivery to be made.
#[derive(Serialize)]
pub(crate) struct NewDelivery {
    id: String,
    endpoint_id: String,
    lane: i16,
    due_at: At,
}

/// A delivery of an event to each of the listeners, leased to the caller until `leased_until`, if that is given: it makes
/// the first attempts at once. What is failing already goes the patient way from the first attempt, and is leased to
/// nobody; neither is what is for an endpoint that a later version wrote: no order fails of that.
pub(crate) fn fan_out(
    event: &NewEvent,
    listeners: Vec<EndpointRow>,
    leased_until: Option<Timestamp>,
) -> (Vec<NewDelivery>, Written) {
    let mut deliveries = Vec::with_capacity(listeners.len());
    let mut written = Written::default();
    for (number, listener) in (0..=u8::MAX).zip(listeners) {
        let (id, endpoint_id) = (DeliveryId::of(event.id, number), listener.id.clone());
        let lane = if listener.failing_since.is_some() { Lane::Patient } else { Lane::Prompt };
        let lease = leased_until.filter(|_| lane == Lane::Prompt);
        let endpoint = lease.and_then(|until| Some((until, WebhookEndpoint::try_from(listener).ok()?)));
        let due_at = At(endpoint.as_ref().map_or(event.created_at, |(until, _)| *until));
        deliveries.push(NewDelivery { id: id.to_string(), endpoint_id, lane: lane.to_row(), due_at });
        match endpoint {
            Some((leased_until, endpoint)) => written.leased.push(LeasedDelivery {
                id,
                event_id: event.id,
                event_type: event.event_type,
                body: event.body.clone(),
                tries: 0,
                plan_started_at: event.created_at,
                leased_until,
                endpoint,
            }),
            None if lane == Lane::Prompt => written.prompt += 1,
            None => written.patient += 1,
        }
    }
    (deliveries, written)
}

// A first attempt is planned for at once: every other moment in a new delivery is the event's.

const INSERT_EVENT: &str =
    "INSERT INTO webhook_events (id, event_type, body, created_at) VALUES (?, ?, ?, ?)";
const SQLITE_INSERT_DELIVERY: &str = "INSERT INTO webhook_deliveries (id, event_id, endpoint_id, status, lane, tries, \
     plan_started_at, next_attempt_at, due_at, created_at) \
     VALUES (?, ?, ?, 'pending', ?, 0, ?, ?, ?, ?)";
/// The parts of a statement that write an event and its deliveries, after others.
macro_rules! postgres_insert_event {
    () => {
        "e AS (INSERT INTO webhook_events (id, event_type, body, created_at) \
         VALUES (?, ?, ?, ?) RETURNING id, created_at) \
         INSERT INTO webhook_deliveries (id, event_id, endpoint_id, status, lane, tries, \
         plan_started_at, next_attempt_at, due_at, created_at) \
         SELECT d.id, e.id, d.endpoint_id, 'pending', d.lane, 0, \
         e.created_at, e.created_at, d.due_at, e.created_at \
         FROM e, json_to_recordset(?::json) AS d(id text, endpoint_id text, lane smallint, due_at timestamptz)"
    };
}
pub(crate) use postgres_insert_event;

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
            if deliveries.is_empty() {
                return Ok(());
            }
            let (event_id, moment) = (event.id.to_string(), event.created_at);
            Statement::new(INSERT_EVENT).event(event).execute(self).await?;
            for delivery in deliveries {
                let insert = Statement::new(SQLITE_INSERT_DELIVERY).text(delivery.id).text(event_id.clone());
                let insert = insert.text(delivery.endpoint_id).number(i64::from(delivery.lane));
                let insert = insert.moment(moment).moment(moment).moment(delivery.due_at).moment(moment);
                insert.execute(self).await?;
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
                let insert = Statement::new(concat!("WITH ", postgres_insert_event!()));
                insert.event(event).json(&deliveries)?.execute(self).await?;
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

impl Statement {
    /// Binds an event's columns.
    pub(crate) fn event(self, event: NewEvent) -> Self {
        self.text(event.id.to_string())
            .text(event.event_type.as_str())
            .binary(event.body)
            .moment(event.created_at)
    }
}

shared_queries! {
    /// Who is to be told.
    trait ListenerQueries {
        /// The merchant's enabled endpoints that want to hear of an event.
        ///
        /// They are read without a lock: an order never waits for a change of an endpoint. What is disabled
        /// or deleted in the same moment may still get a delivery, which fails when its turn comes.
        async fn listeners(conn, user: UserId, event: EventType) -> Result<Vec<EndpointRow>, StoreError> {
            let mut rows: Vec<EndpointRow> = webhook_endpoints::table
                .filter(webhook_endpoints::user_id.eq(user.0))
                .filter(webhook_endpoints::disabled_reason.is_null())
                .filter(webhook_endpoints::deleted_at.is_null())
                .select(EndpointRow::as_select())
                .load(conn)
                .await?;
            rows.retain(|row| names(&row.events, event));
            Ok(rows)
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
    ) -> Result<Option<Delivery>, StoreError> {
        writing!(self, |conn| {
            if conn.find_endpoint(user, endpoint).await?.is_none() {
                return Ok(None);
            }
            let made = Delivery {
                id: DeliveryId::of(event.id, 0),
                event_id: event.id,
                event_type: event.event_type,
                endpoint_id: endpoint,
                status: DeliveryStatus::Pending,
                attempts: Vec::new(),
                next_attempt_at: Some(event.created_at),
                created_at: event.created_at,
            };
            // The prompt way even if it is failing: somebody waits for what this one says.
            let deliveries = vec![NewDelivery {
                id: made.id.to_string(),
                endpoint_id: endpoint.to_string(),
                lane: Lane::Prompt.to_row(),
                due_at: At(event.created_at),
            }];
            conn.insert_event(event, deliveries).await?;
            Ok(Some(made))
        })
    }
}
