//! The log of an endpoint.

use askama::Template;
use cryptopay_domain::DeliveryId;

use super::DeliveryView;
use crate::frame::{Frame, Section};
use crate::page::{Answer, page};
use crate::paging::{self, Pager};
use crate::visit::MerchantVisit;
use crate::webhook_endpoint::{self, EndpointView};

#[derive(Template)]
#[template(path = "delivery/list.html")]
struct ListPage {
    frame: Frame,
    endpoint: EndpointView,
    deliveries: Vec<DeliveryView>,
    pager: Pager,
}

/// One page of it.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    let endpoint = webhook_endpoint::find(&visit).await?;
    let request = paging::read::<DeliveryId>(&visit.query);
    let found = visit.site.payments.list_deliveries(visit.principal(), endpoint.id, request).await?;
    page(&ListPage {
        frame: visit.frame(Section::Webhooks),
        endpoint: EndpointView::of(&endpoint, visit.now()),
        pager: Pager::of(&visit.path, &found),
        deliveries: found.items.iter().map(DeliveryView::of).collect(),
    })
}
