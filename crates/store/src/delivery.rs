//! Deliveries, as their merchant reads them: the log of an endpoint.

use std::collections::HashMap;
use std::time::Duration;

use cryptopay_domain::delivery::DeliveryStatus;
use cryptopay_domain::{
    Attempt, Delivery, DeliveryId, Page, PageRequest, PaymentOrderId, Timestamp, UserId, WebhookEndpointId,
    WebhookEventId,
};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;

pub use crate::delivery_judgement::Verdict;
pub use crate::delivery_lease::{Lease, LeaseRequest, LeasedDelivery};
pub use crate::delivery_record::AttemptRecord;
use crate::moment::{At, Moment};
use crate::schema::{payment_orders, webhook_deliveries, webhook_endpoints, webhook_events};
use crate::statement::{Dialect, Dialects};
use crate::webhook_endpoint::EndpointQueries;
use crate::{Store, StoreError};

/// Two ways to be delivered, so that what works never waits for what does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// First attempts to endpoints that are not failing, and what a merchant is waiting for.
    Prompt,
    /// Retries, and everything for endpoints that are failing.
    Patient,
}

impl Lane {
    pub(crate) const fn to_row(self) -> i16 {
        match self {
            Self::Prompt => 0,
            Self::Patient => 1,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_deliveries)]
pub(crate) struct DeliveryRow {
    id: String,
    event_id: String,
    endpoint_id: String,
    status: String,
    next_attempt_at: Option<At>,
    created_at: At,
}

#[derive(QueryableByName)]
pub(crate) struct AttemptRow {
    #[diesel(sql_type = Text)]
    delivery_id: String,
    #[diesel(sql_type = Moment)]
    at: At,
    #[diesel(sql_type = Nullable<BigInt>)]
    status_code: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    error: Option<String>,
    #[diesel(sql_type = BigInt)]
    duration_ms: i64,
    #[diesel(sql_type = Nullable<Text>)]
    response: Option<String>,
}

impl From<AttemptRow> for Attempt {
    fn from(row: AttemptRow) -> Self {
        Self {
            at: row.at.0,
            status_code: row.status_code.and_then(|code| u16::try_from(code).ok()),
            error: row.error,
            duration: Duration::from_millis(u64::try_from(row.duration_ms).unwrap_or(0)),
            response: row.response,
        }
    }
}

fn delivery_of(row: &DeliveryRow, event_type: &str, attempts: Vec<Attempt>) -> Result<Delivery, StoreError> {
    let corrupt = |what| StoreError::Corrupt { table: "webhook_deliveries", what };
    Ok(Delivery {
        id: row.id.parse().map_err(|_| corrupt("id"))?,
        event_id: row.event_id.parse().map_err(|_| corrupt("event id"))?,
        event_type: event_type.parse().map_err(|_| corrupt("event type"))?,
        endpoint_id: row.endpoint_id.parse().map_err(|_| corrupt("endpoint id"))?,
        status: row.status.parse().map_err(|_| corrupt("status"))?,
        attempts,
        next_attempt_at: row.next_attempt_at.map(Timestamp::from),
        created_at: row.created_at.0,
    })
}

/// The latest 100 attempts of each delivery, oldest first: a merchant may resend for ever.
const ATTEMPTS: Dialects = Dialects {
    sqlite: "SELECT * FROM (SELECT a.*, row_number() OVER (PARTITION BY a.delivery_id ORDER BY a.at DESC) AS age \
             FROM webhook_attempts a WHERE a.delivery_id IN (SELECT value FROM json_each(?))) \
             WHERE age <= 100 ORDER BY delivery_id, at",
    postgres: "SELECT * FROM (SELECT a.*, row_number() OVER (PARTITION BY a.delivery_id ORDER BY a.at DESC) AS age \
               FROM webhook_attempts a \
               WHERE a.delivery_id = ANY(ARRAY(SELECT json_array_elements_text(?::json)))) AS latest \
               WHERE age <= 100 ORDER BY delivery_id, at",
};

shared_queries! {
    /// Reading deliveries.
    trait DeliveryQueries {
        async fn attempts_of(conn, deliveries: Vec<String>) -> Result<HashMap<String, Vec<Attempt>>, StoreError> {
            let rows: Vec<AttemptRow> = conn.statement(ATTEMPTS).json(&deliveries)?.load(conn).await?;
            let mut attempts: HashMap<String, Vec<Attempt>> = HashMap::new();
            for mut row in rows {
                attempts.entry(std::mem::take(&mut row.delivery_id)).or_default().push(row.into());
            }
            Ok(attempts)
        }

        /// Deliveries with what has been tried, in the order of their rows.
        async fn with_attempts(conn, rows: Vec<(DeliveryRow, String)>) -> Result<Vec<Delivery>, StoreError> {
            let ids = rows.iter().map(|(row, _)| row.id.clone()).collect();
            let mut attempts = conn.attempts_of(ids).await?;
            let with_attempts = |(row, event_type): (DeliveryRow, String)| {
                delivery_of(&row, &event_type, attempts.remove(&row.id).unwrap_or_default())
            };
            rows.into_iter().map(with_attempts).collect()
        }

        /// A delivery of an endpoint and the body of its event.
        async fn delivery_with_body(conn, endpoint: WebhookEndpointId, id: DeliveryId)
            -> Result<Option<(Delivery, Vec<u8>)>, StoreError> {
            let found: Option<(DeliveryRow, String, Vec<u8>)> = webhook_deliveries::table
                .inner_join(webhook_events::table)
                .filter(webhook_deliveries::id.eq(id.to_string()))
                .filter(webhook_deliveries::endpoint_id.eq(endpoint.to_string()))
                .select((DeliveryRow::as_select(), webhook_events::event_type, webhook_events::body))
                .first(conn)
                .await
                .optional()?;
            let Some((row, event_type, body)) = found else { return Ok(None) };
            let attempts = conn.attempts_of(vec![row.id.clone()]).await?.remove(&row.id).unwrap_or_default();
            Ok(Some((delivery_of(&row, &event_type, attempts)?, body)))
        }
    }
}

impl Store {
    /// The deliveries of an endpoint, newest first, each with its latest 100 attempts; `None` when the
    /// merchant has no such endpoint.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn list_deliveries(
        &self,
        user: UserId,
        endpoint: WebhookEndpointId,
        request: PageRequest<DeliveryId>,
    ) -> Result<Option<Page<Delivery, DeliveryId>>, StoreError> {
        let found: Option<Vec<Delivery>> = reading!(self, |conn| {
            if conn.find_endpoint(user, endpoint).await?.is_none() {
                return Ok(None);
            }
            let query = webhook_deliveries::table
                .inner_join(webhook_events::table)
                .filter(webhook_deliveries::endpoint_id.eq(endpoint.to_string()))
                .select((DeliveryRow::as_select(), webhook_events::event_type));
            let rows: Vec<(DeliveryRow, String)> =
                on_page!(query, webhook_deliveries::id, request).load(conn).await?;
            Ok(Some(conn.with_attempts(rows).await?))
        })?;
        Ok(found.map(|found| Page::from_found(found, &request, |delivery| delivery.id)))
    }

    /// The deliveries that tell the merchant's endpoints of an order, those of one event beside each other, oldest first,
    /// each with its latest 100 attempts. An endpoint that was deleted took its own with it.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn list_deliveries_of_order(
        &self,
        user: UserId,
        order: PaymentOrderId,
    ) -> Result<Vec<Delivery>, StoreError> {
        reading!(self, |conn| {
            let events: Option<(String, Option<String>)> = payment_orders::table
                .find(order.to_string())
                .filter(payment_orders::user_id.eq(user.0))
                .select((payment_orders::created_event_id, payment_orders::ended_event_id))
                .first(conn)
                .await
                .optional()?;
            let mut told: Vec<(DeliveryRow, String)> = Vec::new();
            for event in events.into_iter().flat_map(|(created, ended)| [Some(created), ended]).flatten() {
                let corrupt = |_| StoreError::Corrupt { table: "payment_orders", what: "event id" };
                let event: WebhookEventId = event.parse().map_err(corrupt)?;
                let (first, last) = (DeliveryId::of(event, 0), DeliveryId::of(event, u8::MAX));
                let deliveries: Vec<(DeliveryRow, String)> = webhook_deliveries::table
                    .inner_join(webhook_events::table)
                    .inner_join(webhook_endpoints::table)
                    .filter(webhook_deliveries::id.between(first.to_string(), last.to_string()))
                    .filter(webhook_deliveries::event_id.eq(event.to_string()))
                    .filter(webhook_endpoints::deleted_at.is_null())
                    .order(webhook_deliveries::id)
                    .select((DeliveryRow::as_select(), webhook_events::event_type))
                    .load(conn)
                    .await?;
                told.extend(deliveries);
            }
            conn.with_attempts(told).await
        })
    }

    /// A delivery of one of the merchant's endpoints, with the exact bytes that it delivers.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn find_delivery(
        &self,
        user: UserId,
        endpoint: WebhookEndpointId,
        id: DeliveryId,
    ) -> Result<Option<(Delivery, Vec<u8>)>, StoreError> {
        reading!(self, |conn| {
            if conn.find_endpoint(user, endpoint).await?.is_none() {
                return Ok(None);
            }
            conn.delivery_with_body(endpoint, id).await
        })
    }

    /// Makes a delivery due at once, the prompt way, with a retry plan that begins anew, whatever has become
    /// of it so far. An attempt that is on its way is still recorded, but changes nothing more.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn resend_delivery(
        &self,
        user: UserId,
        endpoint: WebhookEndpointId,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        writing!(self, |conn| {
            if conn.find_endpoint(user, endpoint).await?.is_none() {
                return Ok(None);
            }
            let delivery = webhook_deliveries::table
                .find(id.to_string())
                .filter(webhook_deliveries::endpoint_id.eq(endpoint.to_string()));
            diesel::update(delivery)
                .set((
                    webhook_deliveries::status.eq(DeliveryStatus::Pending.as_str()),
                    webhook_deliveries::lane.eq(Lane::Prompt.to_row()),
                    webhook_deliveries::tries.eq(0),
                    webhook_deliveries::plan_started_at.eq(At(now)),
                    webhook_deliveries::next_attempt_at.eq(Some(At(now))),
                    webhook_deliveries::due_at.eq(Some(At(now))),
                    webhook_deliveries::ended_at.eq(None::<At>),
                ))
                .execute(conn)
                .await?;
            Ok(conn.delivery_with_body(endpoint, id).await?.map(|(delivery, _)| delivery))
        })
    }
}
