//! Webhook endpoints.

use cryptopay_domain::webhook_endpoint::{EndpointStatus, MAX_ENDPOINTS};
use cryptopay_domain::{Page, PageRequest, Timestamp, UserId, WebhookEndpoint, WebhookEndpointId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::audit::{AuditEvent, AuditQueries};
use crate::delivery_end::EndOfDeliveries;
use crate::moment::At;
use crate::schema::webhook_endpoints;
use crate::user::UserQueries;
use crate::webhook_endpoint_row::{EndpointRow, endpoints_of};
use crate::{Store, StoreError};

/// How making an endpoint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointInsert {
    /// It was written.
    Inserted,
    /// The merchant has as many as there may be.
    TooMany,
    /// The account is disabled.
    UserGone,
}

/// How changing an endpoint ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointChange<R> {
    /// It was written; this is the endpoint from now on.
    Changed(WebhookEndpoint),
    /// The rules refuse it.
    Refused(R),
    /// The merchant has no such endpoint.
    NotFound,
}

shared_queries! {
    /// Endpoints inside a transaction.
    trait EndpointQueries {
        async fn find_endpoint(conn, user: UserId, id: WebhookEndpointId)
            -> Result<Option<WebhookEndpoint>, StoreError> {
            let row: Option<EndpointRow> = webhook_endpoints::table
                .find(id.to_string())
                .filter(webhook_endpoints::user_id.eq(user.0))
                .filter(webhook_endpoints::deleted_at.is_null())
                .select(EndpointRow::as_select())
                .first(conn)
                .await
                .optional()?;
            row.map(WebhookEndpoint::try_from).transpose()
        }

        async fn update_endpoint(conn, endpoint: WebhookEndpoint) -> Result<(), StoreError> {
            let row = EndpointRow::from(endpoint);
            diesel::update(webhook_endpoints::table.find(row.id.clone())).set(row).execute(conn).await?;
            Ok(())
        }
    }
}

locking_queries! {
    /// Taking endpoints. Whoever takes endpoints and deliveries takes the endpoints first.
    trait EndpointLocks {
        async fn lock_endpoints(ids: Vec<String>) -> Vec<EndpointRow> = {
            webhook_endpoints::table
                .filter(webhook_endpoints::id.eq_any(ids))
                .filter(webhook_endpoints::deleted_at.is_null())
                .order(webhook_endpoints::id)
                .select(EndpointRow::as_select())
        }.for_no_key_update();
    }
}

impl Store {
    /// Makes an endpoint, unless the merchant has 20. Endpoints made at once are counted one after the other.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn insert_webhook_endpoint(
        &self,
        endpoint: WebhookEndpoint,
        audit: AuditEvent,
    ) -> Result<EndpointInsert, StoreError> {
        let row = EndpointRow::from(endpoint);
        writing!(self, |conn| {
            if !conn.lock_enabled_user(UserId(row.user_id)).await? {
                return Ok(EndpointInsert::UserGone);
            }
            let present: i64 = webhook_endpoints::table
                .filter(webhook_endpoints::user_id.eq(row.user_id))
                .filter(webhook_endpoints::deleted_at.is_null())
                .count()
                .get_result(conn)
                .await?;
            if usize::try_from(present).unwrap_or(usize::MAX) >= MAX_ENDPOINTS {
                return Ok(EndpointInsert::TooMany);
            }
            diesel::insert_into(webhook_endpoints::table).values(row).execute(conn).await?;
            conn.record(audit).await?;
            Ok(EndpointInsert::Inserted)
        })
    }

    /// One of the merchant's endpoints.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn find_webhook_endpoint(
        &self,
        user: UserId,
        id: WebhookEndpointId,
    ) -> Result<Option<WebhookEndpoint>, StoreError> {
        reading!(self, |conn| conn.find_endpoint(user, id).await)
    }

    /// The merchant's endpoints, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn list_webhook_endpoints(
        &self,
        user: UserId,
        request: PageRequest<WebhookEndpointId>,
    ) -> Result<Page<WebhookEndpoint, WebhookEndpointId>, StoreError> {
        let rows: Vec<EndpointRow> = reading!(self, |conn| {
            let query = webhook_endpoints::table
                .filter(webhook_endpoints::user_id.eq(user.0))
                .filter(webhook_endpoints::deleted_at.is_null())
                .select(EndpointRow::as_select());
            Ok(on_page!(query, webhook_endpoints::id, request).load(conn).await?)
        })?;
        Ok(Page::from_found(endpoints_of(rows)?, &request, |endpoint| endpoint.id))
    }

    /// Endpoints of all merchants, at most `limit` whose identifiers come after `last`, in their order.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn list_endpoints_of_all(
        &self,
        last: Option<WebhookEndpointId>,
        limit: usize,
    ) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let last = last.map_or_else(String::new, |last| last.to_string());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<EndpointRow> = reading!(self, |conn| {
            let rows: Vec<EndpointRow> = webhook_endpoints::table
                .filter(webhook_endpoints::id.gt(last))
                .filter(webhook_endpoints::deleted_at.is_null())
                .order(webhook_endpoints::id)
                .limit(limit)
                .select(EndpointRow::as_select())
                .load(conn)
                .await?;
            Ok(rows)
        })?;
        endpoints_of(rows)
    }

    /// Changes an endpoint as `decide` makes it of what it is, which nobody else changes meanwhile. Disabling
    /// it ends its pending deliveries.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn change_webhook_endpoint<R, F>(
        &self,
        user: UserId,
        id: WebhookEndpointId,
        now: Timestamp,
        decide: F,
    ) -> Result<EndpointChange<R>, StoreError>
    where
        R: Send + 'static,
        F: FnOnce(WebhookEndpoint) -> Result<(WebhookEndpoint, Vec<AuditEvent>), R> + Send + 'static,
    {
        writing!(self, |conn| {
            let found = endpoints_of(conn.lock_endpoints(vec![id.to_string()]).await?)?;
            let Some(endpoint) = found.into_iter().find(|endpoint| endpoint.user_id == user) else {
                return Ok(EndpointChange::NotFound);
            };
            let (changed, audit) = match decide(endpoint) {
                Ok(decided) => decided,
                Err(rejection) => return Ok(EndpointChange::Refused(rejection)),
            };
            conn.update_endpoint(changed.clone()).await?;
            if changed.status != EndpointStatus::Enabled {
                conn.fail_pending(vec![id.to_string()], now).await?;
            }
            for event in audit {
                conn.record(event).await?;
            }
            Ok(EndpointChange::Changed(changed))
        })
    }

    /// Deletes an endpoint and gives what it was. Its deliveries can no longer be read, and those that were
    /// pending have ended; the rows are cleared away later, since there may be very many.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn delete_webhook_endpoint(
        &self,
        user: UserId,
        id: WebhookEndpointId,
        now: Timestamp,
        audit: AuditEvent,
    ) -> Result<Option<WebhookEndpoint>, StoreError> {
        writing!(self, |conn| {
            let found = endpoints_of(conn.lock_endpoints(vec![id.to_string()]).await?)?;
            let Some(endpoint) = found.into_iter().find(|endpoint| endpoint.user_id == user) else {
                return Ok(None);
            };
            diesel::update(webhook_endpoints::table.find(id.to_string()))
                .set((
                    webhook_endpoints::deleted_at.eq(Some(At(now))),
                    webhook_endpoints::secret.eq(Vec::<u8>::new()),
                    webhook_endpoints::previous_secret.eq(None::<Vec<u8>>),
                    webhook_endpoints::previous_secret_ends_at.eq(None::<At>),
                ))
                .execute(conn)
                .await?;
            conn.fail_pending(vec![id.to_string()], now).await?;
            conn.record(audit).await?;
            Ok(Some(endpoint))
        })
    }
}
