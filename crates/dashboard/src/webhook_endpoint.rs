//! Settings > Webhooks: where a merchant is told of what happens.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod delete;
mod fields;
pub(crate) mod list;
pub(crate) mod rotate_secret;
mod secret;
pub(crate) mod show;
pub(crate) mod status;

use cryptopay_domain::webhook_endpoint::{DisabledReason, EndpointStatus};
use cryptopay_domain::{Timestamp, WebhookEndpoint, WebhookEndpointId};
use cryptopay_payments::NotFound;

use crate::event;
use crate::frame::Section;
use crate::moment::Moment;
use crate::problem::Problem;
use crate::visit::MerchantVisit;

/// An endpoint as pages show it.
pub(crate) struct EndpointView {
    pub(crate) id: WebhookEndpointId,
    pub(crate) url: String,
    pub(crate) description: Option<String>,
    pub(crate) events: Vec<&'static str>,
    pub(crate) state: EndpointState,
    pub(crate) created_at: Moment,
    /// Until when the secret before the last rotation signs, too.
    pub(crate) overlap_ends_at: Option<Moment>,
}

/// How an endpoint is, for whoever looks after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointState {
    Well,
    FailingSince(Moment),
    Disabled(DisabledReason),
}

impl EndpointView {
    /// Of an endpoint as it is at `now`.
    pub(crate) fn of(endpoint: &WebhookEndpoint, now: Timestamp) -> Self {
        let description = endpoint.description.as_ref().map(|text| text.as_str().to_owned());
        let previous = endpoint.secrets.previous.as_ref().map(|previous| previous.ends_at);
        Self {
            id: endpoint.id,
            url: endpoint.url.clone(),
            description: description.filter(|text| !text.is_empty()),
            events: event::labels(&endpoint.events),
            state: EndpointState::of(endpoint),
            created_at: Moment(endpoint.created_at),
            overlap_ends_at: previous.filter(|end| now < *end).map(Moment),
        }
    }

    /// Where its page lies.
    pub(crate) fn path(&self) -> String {
        path_of(self.id)
    }

    /// Whether anything is sent to it.
    pub(crate) const fn is_enabled(&self) -> bool {
        !matches!(self.state, EndpointState::Disabled(_))
    }
}

impl EndpointState {
    /// Of an endpoint.
    pub(crate) fn of(endpoint: &WebhookEndpoint) -> Self {
        match (endpoint.status, endpoint.failing_since) {
            (EndpointStatus::Disabled(reason), _) => Self::Disabled(reason),
            (EndpointStatus::Enabled, Some(since)) => Self::FailingSince(Moment(since)),
            (EndpointStatus::Enabled, None) => Self::Well,
        }
    }

    /// Whether its merchant should look after it.
    pub(crate) const fn is_trouble(self) -> bool {
        !matches!(self, Self::Well | Self::Disabled(DisabledReason::ByMerchant))
    }

    /// In one word, for eyes and ears.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Well => "Enabled",
            Self::FailingSince(_) => "Failing",
            Self::Disabled(_) => "Disabled",
        }
    }

    /// The name of its colours.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Well => "enabled",
            Self::FailingSince(_) => "failing",
            Self::Disabled(_) => "disabled",
        }
    }
}

/// Where an endpoint's page lies.
pub(crate) fn path_of(id: WebhookEndpointId) -> String {
    format!("{}/{id}", Section::Webhooks.path())
}

/// The endpoint that the path names.
pub(crate) async fn find(visit: &MerchantVisit) -> Result<WebhookEndpoint, Problem> {
    Ok(visit.site.payments.get_endpoint(visit.principal(), visit.parameter("id")?).await?)
}

impl From<NotFound> for Problem {
    fn from(_: NotFound) -> Self {
        Self::NotFound
    }
}
