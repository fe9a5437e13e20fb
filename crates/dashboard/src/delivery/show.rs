//! One delivery: what is posted, and what came back.

use askama::Template;
use cryptopay_domain::Attempt;
use cryptopay_domain::delivery::{AttemptOutcome, DeliveryStatus};

use super::{DeliveryView, outcome};
use crate::frame::{Frame, Section};
use crate::moment::Moment;
use crate::page::{Answer, page};
use crate::visit::MerchantVisit;
use crate::webhook_endpoint::{self, EndpointView};

#[derive(Template)]
#[template(path = "delivery/show.html")]
struct DeliveryPage {
    frame: Frame,
    endpoint: EndpointView,
    delivery: DeliveryView,
    /// Whether it was tried, so that the headers below are those of an attempt.
    is_tried: bool,
    signed_at: Moment,
    headers: Option<Vec<(&'static str, String)>>,
    body: String,
    bytes: usize,
    attempts: Vec<AttemptView>,
}

/// An attempt as the page shows it.
struct AttemptView {
    number: usize,
    at: Moment,
    outcome: String,
    is_success: bool,
    milliseconds: u128,
    response: Option<String>,
}

/// The page of one delivery.
pub(crate) async fn show(visit: MerchantVisit) -> Answer {
    let endpoint = webhook_endpoint::find(&visit).await?;
    let id = visit.parameter("delivery")?;
    let posted = visit.site.payments.get_delivery(visit.principal(), endpoint.id, id).await?;
    let attempts = posted.delivery.attempts.iter().enumerate();
    page(&DeliveryPage {
        frame: visit.frame(Section::Webhooks),
        endpoint: EndpointView::of(&endpoint, visit.now()),
        delivery: DeliveryView::of(&posted.delivery),
        is_tried: !posted.delivery.attempts.is_empty(),
        signed_at: Moment(posted.signed_at),
        headers: posted.headers,
        bytes: posted.body.len(),
        body: String::from_utf8_lossy(&posted.body).into_owned(),
        attempts: attempts.rev().map(|(place, attempt)| AttemptView::of(place + 1, attempt)).collect(),
    })
}

impl AttemptView {
    fn of(number: usize, attempt: &Attempt) -> Self {
        Self {
            number,
            at: Moment(attempt.at),
            outcome: outcome(attempt.status_code, attempt.error.as_deref()),
            is_success: attempt.outcome() == AttemptOutcome::Succeeded,
            milliseconds: attempt.duration.as_millis(),
            response: attempt.response.clone().filter(|response| !response.is_empty()),
        }
    }
}
