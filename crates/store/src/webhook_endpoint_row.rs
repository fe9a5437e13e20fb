//! A webhook endpoint as its row has it.

use cryptopay_domain::webhook_endpoint::{EndpointSecrets, EndpointStatus, PreviousSecret, SealedSecret};
use cryptopay_domain::{Description, EventFilter, Timestamp, UserId, WebhookEndpoint};
use diesel::prelude::*;

use crate::StoreError;
use crate::moment::{At, at};
use crate::schema::webhook_endpoints;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = webhook_endpoints)]
#[diesel(treat_none_as_null = true)]
pub(crate) struct EndpointRow {
    pub(crate) id: String,
    pub(crate) user_id: i64,
    url: String,
    pub(crate) events: String,
    description: Option<String>,
    disabled_reason: Option<String>,
    pub(crate) failing_since: Option<At>,
    secret: Vec<u8>,
    previous_secret: Option<Vec<u8>>,
    previous_secret_ends_at: Option<At>,
    created_at: At,
}

impl From<WebhookEndpoint> for EndpointRow {
    fn from(endpoint: WebhookEndpoint) -> Self {
        let EndpointSecrets { current, previous } = endpoint.secrets;
        let (previous_secret, previous_secret_ends_at) =
            previous.map(|previous| (previous.secret.0, At(previous.ends_at))).unzip();
        Self {
            id: endpoint.id.to_string(),
            user_id: endpoint.user_id.0,
            url: endpoint.url,
            events: endpoint.events.to_wire().join(","),
            description: endpoint.description.map(|description| description.as_str().to_owned()),
            disabled_reason: endpoint.status.disabled_reason().map(|reason| reason.as_str().to_owned()),
            failing_since: at(endpoint.failing_since),
            secret: current.0,
            previous_secret,
            previous_secret_ends_at,
            created_at: At(endpoint.created_at),
        }
    }
}

impl TryFrom<EndpointRow> for WebhookEndpoint {
    type Error = StoreError;

    fn try_from(row: EndpointRow) -> Result<Self, StoreError> {
        let disabled = row.disabled_reason.map(|reason| reason.parse()).transpose();
        let description = row.description.as_deref().map(Description::parse).transpose();
        let previous = row.previous_secret.zip(row.previous_secret_ends_at);
        Ok(Self {
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            user_id: UserId(row.user_id),
            url: row.url,
            events: filter_from_row(&row.events)?,
            description: description.map_err(|_| corrupt("description"))?,
            status: disabled
                .map_err(|_| corrupt("disabled reason"))?
                .map_or(EndpointStatus::Enabled, EndpointStatus::Disabled),
            created_at: row.created_at.0,
            failing_since: row.failing_since.map(Timestamp::from),
            secrets: EndpointSecrets {
                current: SealedSecret(row.secret),
                previous: previous.map(|(secret, ends_at)| PreviousSecret {
                    secret: SealedSecret(secret),
                    ends_at: ends_at.0,
                }),
            },
        })
    }
}

/// Reads the filter of a row: its names, separated by commas.
pub(crate) fn filter_from_row(events: &str) -> Result<EventFilter, StoreError> {
    let names: Vec<String> = events.split(',').map(str::to_owned).collect();
    EventFilter::parse(&names).map_err(|_| corrupt("events"))
}

const fn corrupt(what: &'static str) -> StoreError {
    StoreError::Corrupt { table: "webhook_endpoints", what }
}

pub(crate) fn endpoints_of(rows: Vec<EndpointRow>) -> Result<Vec<WebhookEndpoint>, StoreError> {
    rows.into_iter().map(WebhookEndpoint::try_from).collect()
}
