//! What was sent to a webhook endpoint: its log, sending again, trying it out, and finding out why a signature
//! does not match

pub(crate) mod request;
mod response;

use actix_web::HttpResponse;
use actix_web::web::Data;
use cryptopay_domain::DeliveryId;
use cryptopay_payments::{DiagnoseRejection, Payments, SendRejection};

use crate::body::Submitted;
use crate::cursor::{ListBody, ListRequest, PageParameters};
use crate::error::ApiError;
use crate::extract::{Caller, DeliveryPathId, PathId};
use crate::fields::NoFields;
use request::{Computed, DiagnosisRequest};
use response::{DeliveryBody, DiagnosisBody};

/// Lists what was sent to a webhook endpoint
///
/// Deliveries are kept for 90 days after they ended.
#[utoipa::path(
    get, path = "/api/webhooks/{id}/deliveries", operation_id = "listDeliveries", tag = "webhooks",
    params(("id" = String, Path, description = "The endpoint's identifier."), PageParameters),
    responses((status = 200, description = "The deliveries, newest first.", body = ListBody<DeliveryBody>)),
)]
pub(crate) async fn list(
    payments: Data<Payments>,
    caller: Caller,
    id: PathId,
    list: ListRequest<DeliveryId>,
) -> Result<HttpResponse, ApiError> {
    let page = payments.list_deliveries(&caller, id.parse()?, list.page()).await?;
    Ok(HttpResponse::Ok().json(list.answer(page, DeliveryBody::from)))
}

/// Sends a test event to a webhook endpoint
///
/// `webhook.test`, whatever event types the endpoint wants. The answer does not wait for the endpoint's.
#[utoipa::path(
    post, path = "/api/webhooks/{id}/test", operation_id = "testWebhookEndpoint", tag = "webhooks",
    params(("id" = String, Path, description = "The endpoint's identifier.")),
    responses((status = 202, description = "The delivery, on its way.", body = DeliveryBody)),
)]
pub(crate) async fn send_test(
    payments: Data<Payments>,
    caller: Caller,
    id: PathId,
    Submitted(NoFields): Submitted<NoFields>,
) -> Result<HttpResponse, ApiError> {
    let delivery = payments.send_test(&caller, id.parse()?).await?;
    Ok(HttpResponse::Accepted().json(DeliveryBody::from(delivery)))
}

/// Sends a delivery again
///
/// The same event, byte for byte, in a new attempt of the same delivery, whatever became of the earlier ones.
#[utoipa::path(
    post, path = "/api/webhooks/{id}/deliveries/{delivery}/resend", operation_id = "resendDelivery",
    tag = "webhooks",
    params(
        ("id" = String, Path, description = "The endpoint's identifier."),
        ("delivery" = String, Path, description = "The delivery's identifier."),
    ),
    responses((status = 202, description = "The delivery, on its way again.", body = DeliveryBody)),
)]
pub(crate) async fn resend(
    payments: Data<Payments>,
    caller: Caller,
    id: PathId,
    delivery: DeliveryPathId,
    Submitted(NoFields): Submitted<NoFields>,
) -> Result<HttpResponse, ApiError> {
    let delivery = payments.resend(&caller, id.parse()?, delivery.parse()?).await?;
    Ok(HttpResponse::Accepted().json(DeliveryBody::from(delivery)))
}

/// Finds out why a signature does not match
///
/// In the sandbox alone; in production there is no such route. Tries the usual mistakes against the bytes that
/// were sent and the endpoint's secrets, and names the one that makes the given signature.
#[utoipa::path(
    post, path = "/api/webhooks/{id}/deliveries/{delivery}/diagnose", operation_id = "diagnoseSignature",
    tag = "webhooks",
    params(
        ("id" = String, Path, description = "The endpoint's identifier."),
        ("delivery" = String, Path, description = "The delivery's identifier."),
    ),
    request_body = DiagnosisRequest,
    responses((status = 200, description = "What was found.", body = DiagnosisBody)),
)]
pub(crate) async fn diagnose(
    payments: Data<Payments>,
    caller: Caller,
    id: PathId,
    delivery: DeliveryPathId,
    Submitted(Computed(signature)): Submitted<Computed>,
) -> Result<HttpResponse, ApiError> {
    let diagnosis = payments.diagnose(&caller, id.parse()?, delivery.parse()?, &signature).await?;
    Ok(HttpResponse::Ok().json(DiagnosisBody::from(diagnosis)))
}

impl From<SendRejection> for ApiError {
    fn from(rejection: SendRejection) -> Self {
        match rejection {
            SendRejection::NotFound => Self::NotFound,
            SendRejection::Disabled => Self::Conflict(
                "This webhook endpoint is disabled, so nothing is sent to it. Set its status to enabled first.",
            ),
        }
    }
}

impl From<DiagnoseRejection> for ApiError {
    fn from(rejection: DiagnoseRejection) -> Self {
        match rejection {
            DiagnoseRejection::NotFound => Self::NotFound,
            DiagnoseRejection::OnlyInSandbox => Self::RouteNotFound,
        }
    }
}
