//! The list of webhook endpoints.

use askama::Template;
use cryptopay_domain::WebhookEndpointId;
use cryptopay_domain::webhook_endpoint::DisabledReason;

use super::{EndpointState, EndpointView};
use crate::frame::{Frame, Section};
use crate::page::{Answer, page};
use crate::paging::{self, Pager};
use crate::visit::MerchantVisit;

#[derive(Template)]
#[template(path = "webhook_endpoint/list.html")]
struct ListPage {
    frame: Frame,
    endpoints: Vec<EndpointView>,
    pager: Pager,
}

/// One page of the list.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    let request = paging::read::<WebhookEndpointId>(&visit.query);
    let found = visit.site.payments.list_endpoints(visit.principal(), request).await?;
    let pager = Pager::of(&visit.path, &found);
    let now = visit.now();
    let endpoints = found.items.iter().map(|endpoint| EndpointView::of(endpoint, now)).collect();
    page(&ListPage { frame: visit.frame(Section::Webhooks), endpoints, pager })
}
