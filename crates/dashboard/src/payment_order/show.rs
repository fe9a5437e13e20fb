//! One payment order: what it is, what happened to it, and who was told.

use std::collections::HashMap;

use askama::Template;
use cryptopay_domain::payment_order::{OrderStatus, SimulatedOutcome};
use cryptopay_domain::{Delivery, EventType, PaymentOrder, WebhookEndpointId};

use super::OrderView;
use crate::delivery::DeliveryView;
use crate::event;
use crate::frame::{Frame, Section};
use crate::moment::Moment;
use crate::page::{Answer, page};
use crate::paging;
use crate::visit::MerchantVisit;

#[derive(Template)]
#[template(path = "payment_order/show.html")]
struct OrderPage {
    frame: Frame,
    order: OrderView,
    metadata: Vec<(String, String)>,
    happenings: Vec<Happening>,
    /// What the sandbox may let become of it.
    outcomes: Vec<Outcome>,
}

/// Something that happened to the order.
struct Happening {
    label: &'static str,
    event_type: &'static str,
    at: Moment,
    told: Vec<Told>,
}

/// An endpoint that is told of it.
struct Told {
    url: String,
    delivery: DeliveryView,
}

/// A button of the sandbox.
struct Outcome {
    name: &'static str,
    label: &'static str,
}

/// The page of one order.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    let payments = &visit.site.payments;
    let order = payments.get_order(visit.principal(), visit.parameter("id")?).await?;
    let deliveries = payments.list_order_deliveries(visit.principal(), order.id).await?;
    let endpoints = payments.list_endpoints(visit.principal(), paging::most()).await?.items;
    let urls: HashMap<_, _> = endpoints.into_iter().map(|endpoint| (endpoint.id, endpoint.url)).collect();
    let may_move_on = visit.site.is_sandbox() && order.status == OrderStatus::Pending;
    page(&OrderPage {
        frame: visit.frame(Section::PaymentOrders),
        order: OrderView::of(&order),
        metadata: order.metadata.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        happenings: happenings(&order, &deliveries, &urls),
        outcomes: SimulatedOutcome::ALL.into_iter().filter(|_| may_move_on).map(Outcome::of).collect(),
    })
}

/// What happened, newest first.
fn happenings(
    order: &PaymentOrder,
    deliveries: &[Delivery],
    urls: &HashMap<WebhookEndpointId, String>,
) -> Vec<Happening> {
    let ended = match order.status {
        OrderStatus::Pending => None,
        OrderStatus::Paid => Some(EventType::PaymentOrderPaid),
        OrderStatus::Expired => Some(EventType::PaymentOrderExpired),
        OrderStatus::Failed => Some(EventType::PaymentOrderFailed),
    };
    let ended = ended.map(|event| (event, order.updated_at));
    let happened = ended.into_iter().chain([(EventType::PaymentOrderCreated, order.created_at)]);
    let happening = |(event_type, at)| Happening {
        label: event::label(event_type),
        event_type: event_type.as_str(),
        at: Moment(at),
        told: deliveries
            .iter()
            .filter(|delivery| delivery.event_type == event_type)
            .filter_map(|delivery| Told::of(delivery, urls))
            .collect(),
    };
    happened.map(happening).collect()
}

impl Told {
    /// `None` for an endpoint that was deleted in this very moment.
    fn of(delivery: &Delivery, urls: &HashMap<WebhookEndpointId, String>) -> Option<Self> {
        let url = urls.get(&delivery.endpoint_id)?.clone();
        Some(Self { url, delivery: DeliveryView::of(delivery) })
    }
}

impl Outcome {
    const fn of(outcome: SimulatedOutcome) -> Self {
        let label = match outcome {
            SimulatedOutcome::Paid => "Let it be paid",
            SimulatedOutcome::Expired => "Let it expire",
            SimulatedOutcome::Failed => "Let it fail",
        };
        Self { name: outcome.as_str(), label }
    }
}
