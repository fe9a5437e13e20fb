//! One endpoint: how it is, what it was told lately, and everything that can be done to it.

use askama::Template;
use cryptopay_domain::webhook_endpoint::DisabledReason;
use cryptopay_domain::{PageRequest, WebhookEndpoint};

use super::fields::Fields;
use super::rotate_secret::{OVERLAPS, Overlap};
use super::{EndpointState, EndpointView};
use crate::delivery::DeliveryView;
use crate::form::Problems;
use crate::frame::{Frame, Section};
use crate::page::{Answer, page};
use crate::paging;
use crate::problem::Problem;
use crate::visit::MerchantVisit;

/// How many deliveries are shown; the log has the others.
const LATEST: i64 = 5;

#[derive(Template)]
#[template(path = "webhook_endpoint/show.html")]
pub(super) struct EndpointPage {
    frame: Frame,
    endpoint: EndpointView,
    latest: Vec<DeliveryView>,
    has_more: bool,
    fields: Fields,
    overlaps: &'static [Overlap],
    problems: Problems,
}

/// The page of one endpoint.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    let endpoint = super::find(&visit).await?;
    let fields = Fields::of_endpoint(&endpoint);
    page(&endpoint_page(&visit, &endpoint, fields, Problems::default()).await?)
}

/// The page, with what was typed on it.
pub(super) async fn endpoint_page(
    visit: &MerchantVisit,
    endpoint: &WebhookEndpoint,
    fields: Fields,
    problems: Problems,
) -> Result<EndpointPage, Problem> {
    let request = PageRequest { limit: paging::limit(LATEST), position: None };
    let found = visit.site.payments.list_deliveries(visit.principal(), endpoint.id, request).await?;
    Ok(EndpointPage {
        frame: visit.frame(Section::Webhooks),
        endpoint: EndpointView::of(endpoint, visit.now()),
        latest: found.items.iter().map(DeliveryView::of).collect(),
        has_more: found.next.is_some(),
        fields,
        overlaps: OVERLAPS,
        problems,
    })
}
