//! The list of payment orders.

use askama::Template;
use cryptopay_domain::PaymentOrderId;

use super::OrderView;
use crate::frame::{Frame, Section};
use crate::page::{Answer, page};
use crate::paging::{self, Pager};
use crate::visit::MerchantVisit;

#[derive(Template)]
#[template(path = "payment_order/list.html")]
struct ListPage<'a> {
    frame: Frame,
    orders: Vec<OrderView>,
    pager: Pager,
    /// Where programs reach the API.
    base: &'a str,
}

/// One page of the list.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    let request = paging::read::<PaymentOrderId>(&visit.query);
    let found = visit.site.payments.list_orders(visit.principal(), request).await?;
    page(&ListPage {
        frame: visit.frame(Section::PaymentOrders),
        pager: Pager::of(&visit.path, &found),
        orders: found.items.iter().map(OrderView::of).collect(),
        base: &visit.base,
    })
}
