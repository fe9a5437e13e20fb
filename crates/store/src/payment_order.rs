//! Payment orders.

use std::collections::BTreeMap;

use cryptopay_domain::{
    Amount, Currency, Description, Metadata, Page, PageRequest, PaymentOrder, PaymentOrderId, Timestamp,
    UserId, WebhookEventId,
};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::future::BoxFuture;

use crate::idempotency::{Claim, IdempotencyQueries, IdempotentRequest};
use crate::moment::At;
use crate::postgres::PgConn;
use crate::schema::payment_orders;
use crate::sqlite::SqliteConn;
use crate::statement::Statement;
use crate::webhook_event::{
    ListenerQueries, NewDelivery, NewEvent, Outbox, Written, fan_out, postgres_insert_event,
};
use crate::{Store, StoreError};

/// How making an order ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderInsert {
    /// It was written.
    Inserted {
        /// What endpoints will be told of it.
        deliveries: Written,
    },
    /// The same request was made before, and answered this.
    Replayed(Vec<u8>),
    /// Another request was made with the same key.
    IdempotencyConflict,
}

/// How changing an order ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart as soon as it is returned")]
pub enum OrderChange<R> {
    /// It was written.
    Changed {
        /// The order from now on.
        order: PaymentOrder,
        /// What endpoints will be told of it.
        deliveries: Written,
    },
    /// The rules refuse it.
    Refused(R),
    /// The merchant has no such order.
    NotFound,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = payment_orders)]
pub(crate) struct OrderRow {
    id: String,
    user_id: i64,
    amount: String,
    currency: String,
    description: Option<String>,
    metadata: String,
    status: String,
    created_at: At,
    updated_at: At,
}

const fn corrupt(what: &'static str) -> StoreError {
    StoreError::Corrupt { table: "payment_orders", what }
}

impl TryFrom<PaymentOrder> for OrderRow {
    type Error = StoreError;

    fn try_from(order: PaymentOrder) -> Result<Self, StoreError> {
        let metadata: BTreeMap<&str, &str> = order.metadata.pairs().collect();
        Ok(Self {
            id: order.id.to_string(),
            user_id: order.user_id.0,
            amount: order.amount.as_str().to_owned(),
            currency: order.currency.as_str().to_owned(),
            metadata: serde_json::to_string(&metadata).map_err(|_| corrupt("metadata"))?,
            description: order.description.map(|description| description.as_str().to_owned()),
            status: order.status.as_str().to_owned(),
            created_at: At(order.created_at),
            updated_at: At(order.updated_at),
        })
    }
}

impl TryFrom<OrderRow> for PaymentOrder {
    type Error = StoreError;

    fn try_from(row: OrderRow) -> Result<Self, StoreError> {
        let metadata: BTreeMap<String, String> =
            serde_json::from_str(&row.metadata).map_err(|_| corrupt("metadata"))?;
        let description = row.description.as_deref().map(Description::parse).transpose();
        Ok(Self {
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            user_id: UserId(row.user_id),
            amount: Amount::parse(&row.amount).map_err(|_| corrupt("amount"))?,
            currency: Currency::recorded(&row.currency).map_err(|_| corrupt("currency"))?,
            description: description.map_err(|_| corrupt("description"))?,
            metadata: Metadata::new(metadata.into_iter().collect()).map_err(|_| corrupt("metadata"))?,
            status: row.status.parse().map_err(|_| corrupt("status"))?,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
        })
    }
}

locking_queries! {
    /// Taking an order.
    trait OrderLocks {
        async fn lock_order(user: UserId, id: PaymentOrderId) -> Vec<OrderRow> = {
            payment_orders::table
                .filter(payment_orders::id.eq(id.to_string()))
                .filter(payment_orders::user_id.eq(user.0))
                .select(OrderRow::as_select())
        }.for_no_key_update();
    }
}

shared_queries! {
    /// Writing an order's row.
    trait OrderRows {
        async fn insert_order_alone(conn, order: OrderRow, event: WebhookEventId) -> Result<(), StoreError> {
            let created_event_id = payment_orders::created_event_id.eq(event.to_string());
            diesel::insert_into(payment_orders::table).values((order, created_event_id)).execute(conn).await?;
            Ok(())
        }
    }
}

/// Writing an order and what endpoints are to be told of it.
trait OrderQueries {
    fn insert_order(
        &mut self,
        order: OrderRow,
        event: NewEvent,
        deliveries: Vec<NewDelivery>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;
}

impl OrderQueries for SqliteConn {
    fn insert_order(
        &mut self,
        order: OrderRow,
        event: NewEvent,
        deliveries: Vec<NewDelivery>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.insert_order_alone(order, event.id).await?;
            self.insert_event(event, deliveries).await
        })
    }
}

impl OrderQueries for PgConn {
    /// All in one statement: each one more is a journey to the server that every order would wait for.
    fn insert_order(
        &mut self,
        order: OrderRow,
        event: NewEvent,
        deliveries: Vec<NewDelivery>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if deliveries.is_empty() {
                return self.insert_order_alone(order, event.id).await;
            }
            let insert = Statement::new(concat!(
                "WITH o AS (INSERT INTO payment_orders (id, user_id, amount, currency, description, metadata, status, \
                 created_at, updated_at, created_event_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)), ",
                postgres_insert_event!()
            ));
            let insert = insert.text(order.id).number(order.user_id).text(order.amount).text(order.currency);
            let insert = insert.maybe_text(order.description).text(order.metadata).text(order.status);
            let insert = insert.moment(order.created_at).moment(order.updated_at).text(event.id.to_string());
            insert.event(event).json(&deliveries)?.execute(self).await?;
            Ok(())
        })
    }
}

impl Store {
    /// Makes an order and tells the merchant's endpoints of it, all in one transaction. A request whose key
    /// was used in the last 24 hours makes nothing; one that comes while another of its key is being answered
    /// waits for it.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn insert_payment_order(
        &self,
        order: PaymentOrder,
        idempotent: Option<IdempotentRequest>,
        event: NewEvent,
        leased_until: Option<Timestamp>,
    ) -> Result<OrderInsert, StoreError> {
        let (user, now) = (order.user_id, order.created_at);
        let row = OrderRow::try_from(order)?;
        writing!(self, |conn| {
            if let Some(request) = idempotent {
                match conn.claim(user, request, now).await? {
                    Claim::First => {}
                    Claim::Replay(answer) => return Ok(OrderInsert::Replayed(answer)),
                    Claim::Conflict => return Ok(OrderInsert::IdempotencyConflict),
                }
            }
            let listeners = conn.listeners(user, event.event_type).await?;
            let (new, deliveries) = fan_out(&event, listeners, leased_until);
            conn.insert_order(row, event, new).await?;
            Ok(OrderInsert::Inserted { deliveries })
        })
    }

    /// One of the merchant's orders.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn find_payment_order(
        &self,
        user: UserId,
        id: PaymentOrderId,
    ) -> Result<Option<PaymentOrder>, StoreError> {
        let row: Option<OrderRow> = reading!(self, |conn| {
            let query = payment_orders::table
                .find(id.to_string())
                .filter(payment_orders::user_id.eq(user.0))
                .select(OrderRow::as_select());
            Ok(query.first(conn).await.optional()?)
        })?;
        row.map(PaymentOrder::try_from).transpose()
    }

    /// The merchant's orders, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn list_payment_orders(
        &self,
        user: UserId,
        request: PageRequest<PaymentOrderId>,
    ) -> Result<Page<PaymentOrder, PaymentOrderId>, StoreError> {
        let rows: Vec<OrderRow> = reading!(self, |conn| {
            let query = payment_orders::table
                .filter(payment_orders::user_id.eq(user.0))
                .select(OrderRow::as_select());
            Ok(on_page!(query, payment_orders::id, request).load(conn).await?)
        })?;
        let found = rows.into_iter().map(PaymentOrder::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_found(found, &request, |order| order.id))
    }

    /// Changes an order as `decide` makes it of what it is, which nobody else changes meanwhile, and tells
    /// the merchant's endpoints of it, all in one transaction.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn change_payment_order<R, F>(
        &self,
        user: UserId,
        id: PaymentOrderId,
        decide: F,
        leased_until: Option<Timestamp>,
    ) -> Result<OrderChange<R>, StoreError>
    where
        R: Send + 'static,
        F: FnOnce(PaymentOrder) -> Result<(PaymentOrder, NewEvent), R> + Send + 'static,
    {
        writing!(self, |conn| {
            let Some(row) = conn.lock_order(user, id).await?.pop() else { return Ok(OrderChange::NotFound) };
            let (order, event) = match decide(PaymentOrder::try_from(row)?) {
                Ok(decided) => decided,
                Err(rejection) => return Ok(OrderChange::Refused(rejection)),
            };
            diesel::update(payment_orders::table.find(id.to_string()))
                .set((
                    payment_orders::status.eq(order.status.as_str()),
                    payment_orders::updated_at.eq(At(order.updated_at)),
                    payment_orders::ended_event_id.eq(event.id.to_string()),
                ))
                .execute(conn)
                .await?;
            let listeners = conn.listeners(user, event.event_type).await?;
            let (new, deliveries) = fan_out(&event, listeners, leased_until);
            conn.insert_event(event, new).await?;
            Ok(OrderChange::Changed { order, deliveries })
        })
    }
}
