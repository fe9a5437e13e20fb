//! `/api/payment-orders` and what lies under it

pub(crate) mod request;
mod response;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use cryptopay_domain::{PaymentOrder, PaymentOrderId};
use cryptopay_payments::{CreateOrderRejection, Payments, SimulateRejection};

use crate::body::Submitted;
use crate::cursor::{ListBody, ListRequest, PageParameters};
use crate::error::ApiError;
use crate::extract::{Caller, PathId};
use crate::idempotency::Repeatable;
use request::{Creation, PaymentOrderCreation, Simulation, SimulationRequest};

pub(crate) use response::PaymentOrderBody;

/// Lists the payment orders
#[utoipa::path(
    get, path = "/api/payment-orders", operation_id = "listPaymentOrders", tag = "payment orders",
    params(PageParameters),
    responses((status = 200, description = "The orders, newest first.", body = ListBody<PaymentOrderBody>)),
)]
pub(crate) async fn list(
    payments: Data<Payments>,
    caller: Caller,
    list: ListRequest<PaymentOrderId>,
) -> Result<HttpResponse, ApiError> {
    let page = payments.list_orders(&caller, list.page()).await?;
    Ok(HttpResponse::Ok().json(list.answer(page, PaymentOrderBody::from)))
}

/// Makes a payment order
///
/// Its event, `payment_order.created`, goes to the webhook endpoints that want it. Under an `Idempotency-Key`
/// the request may be sent again for 24 hours: the order is made once, and every answer is the first one, byte
/// for byte. The same key with another body is a 409.
#[utoipa::path(
    post, path = "/api/payment-orders", operation_id = "createPaymentOrder", tag = "payment orders",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        description = "Names the request, in printable ASCII, so that it may be sent again.")),
    request_body = PaymentOrderCreation,
    responses((status = 201, description = "The order.", body = PaymentOrderBody)),
)]
pub(crate) async fn create(
    payments: Data<Payments>,
    caller: Caller,
    request: Repeatable<Creation>,
) -> Result<HttpResponse, ApiError> {
    let Repeatable { submitted: Creation(order), idempotency } = request;
    let order = payments.create_order(&caller, order, idempotency, render).await?;
    Ok(HttpResponse::Created().insert_header(ContentType::json()).body(order))
}

/// Shows one payment order
#[utoipa::path(
    get, path = "/api/payment-orders/{id}", operation_id = "getPaymentOrder", tag = "payment orders",
    params(("id" = String, Path, description = "The order's identifier.")),
    responses((status = 200, description = "The order.", body = PaymentOrderBody)),
)]
pub(crate) async fn get(
    payments: Data<Payments>,
    caller: Caller,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    let order = payments.get_order(&caller, id.parse()?).await?;
    Ok(HttpResponse::Ok().json(PaymentOrderBody::from(order)))
}

/// Lets a pending order be paid, expire or fail
///
/// In the sandbox alone; in production there is no such route. The event goes to the webhook endpoints that
/// want it. An order that is no longer pending is a 409.
#[utoipa::path(
    post, path = "/api/payment-orders/{id}/simulate", operation_id = "simulatePaymentOrder",
    tag = "payment orders",
    params(("id" = String, Path, description = "The order's identifier.")),
    request_body = SimulationRequest,
    responses((status = 200, description = "The order as it is now.", body = PaymentOrderBody)),
)]
pub(crate) async fn simulate(
    payments: Data<Payments>,
    caller: Caller,
    id: PathId,
    Submitted(Simulation(outcome)): Submitted<Simulation>,
) -> Result<HttpResponse, ApiError> {
    let order = payments.simulate(&caller, id.parse()?, outcome).await?;
    Ok(HttpResponse::Ok().json(PaymentOrderBody::from(order)))
}

impl From<CreateOrderRejection> for ApiError {
    fn from(rejection: CreateOrderRejection) -> Self {
        match rejection {
            CreateOrderRejection::IdempotencyConflict => Self::IdempotencyConflict,
            CreateOrderRejection::TooLarge => {
                Self::field("metadata", "makes the order's webhook event larger than 100,000 bytes")
            }
        }
    }
}

impl From<SimulateRejection> for ApiError {
    fn from(rejection: SimulateRejection) -> Self {
        match rejection {
            SimulateRejection::NotFound => Self::NotFound,
            SimulateRejection::NotPending(_) => {
                Self::Conflict("This order is no longer pending. Make another one to simulate.")
            }
            SimulateRejection::OnlyInSandbox => Self::RouteNotFound,
        }
    }
}

/// An order's answer, as it is kept for its idempotency key. It is plain data; it always serialises.
fn render(order: &PaymentOrder) -> Vec<u8> {
    serde_json::to_vec(&PaymentOrderBody::from(order.clone())).unwrap_or_default()
}
