//! `/api/webhooks`: where a merchant is told of events

pub(crate) mod request;
mod response;

use actix_web::HttpResponse;
use actix_web::web::Data;
use cryptopay_domain::WebhookEndpointId;
use cryptopay_payments::{ChangeEndpointRejection, CreateEndpointRejection, NotFound, Payments};

use crate::body::Submitted;
use crate::cursor::{ListBody, ListRequest, PageParameters};
use crate::error::{ApiError, Challenge};
use crate::extract::{Caller, Origin, PathId};
use request::{Change, Creation, Rotation, SecretRotation, WebhookEndpointChange, WebhookEndpointCreation};
use response::{NewWebhookEndpointBody, WebhookEndpointBody};

/// Lists the webhook endpoints
#[utoipa::path(
    get, path = "/api/webhooks", operation_id = "listWebhookEndpoints", tag = "webhooks",
    params(PageParameters),
    responses((status = 200, description = "The endpoints, newest first.", body = ListBody<WebhookEndpointBody>)),
)]
pub(crate) async fn list(
    payments: Data<Payments>,
    caller: Caller,
    list: ListRequest<WebhookEndpointId>,
) -> Result<HttpResponse, ApiError> {
    let page = payments.list_endpoints(&caller, list.page()).await?;
    Ok(HttpResponse::Ok().json(list.answer(page, WebhookEndpointBody::from)))
}

/// Makes a webhook endpoint
///
/// The answer shows its secret, which is not shown again. At most 20 endpoints a merchant.
#[utoipa::path(
    post, path = "/api/webhooks", operation_id = "createWebhookEndpoint", tag = "webhooks",
    request_body = WebhookEndpointCreation,
    responses((status = 201, description = "The endpoint.", body = NewWebhookEndpointBody)),
)]
pub(crate) async fn create(
    payments: Data<Payments>,
    caller: Caller,
    origin: Origin,
    Submitted(Creation(endpoint)): Submitted<Creation>,
) -> Result<HttpResponse, ApiError> {
    let new = payments.create_endpoint(&caller, endpoint, &origin).await?;
    Ok(HttpResponse::Created().json(NewWebhookEndpointBody::of(&new)))
}

/// Shows one webhook endpoint
#[utoipa::path(
    get, path = "/api/webhooks/{id}", operation_id = "getWebhookEndpoint", tag = "webhooks",
    params(("id" = String, Path, description = "The endpoint's identifier.")),
    responses((status = 200, description = "The endpoint.", body = WebhookEndpointBody)),
)]
pub(crate) async fn get(
    payments: Data<Payments>,
    caller: Caller,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    let endpoint = payments.get_endpoint(&caller, id.parse()?).await?;
    Ok(HttpResponse::Ok().json(WebhookEndpointBody::from(endpoint)))
}

/// Changes a webhook endpoint
///
/// A disabled endpoint is sent nothing, and what was on its way to it is given up.
#[utoipa::path(
    patch, path = "/api/webhooks/{id}", operation_id = "changeWebhookEndpoint", tag = "webhooks",
    params(("id" = String, Path, description = "The endpoint's identifier.")),
    request_body = WebhookEndpointChange,
    responses((status = 200, description = "The endpoint as it is now.", body = WebhookEndpointBody)),
)]
pub(crate) async fn change(
    payments: Data<Payments>,
    caller: Caller,
    origin: Origin,
    id: PathId,
    Submitted(Change(change)): Submitted<Change>,
) -> Result<HttpResponse, ApiError> {
    let endpoint = payments.change_endpoint(&caller, id.parse()?, change, &origin).await?;
    Ok(HttpResponse::Ok().json(WebhookEndpointBody::from(endpoint)))
}

/// Deletes a webhook endpoint
///
/// And its deliveries with it. The answer is the last that is seen of it; after that it is a 404.
#[utoipa::path(
    delete, path = "/api/webhooks/{id}", operation_id = "deleteWebhookEndpoint", tag = "webhooks",
    params(("id" = String, Path, description = "The endpoint's identifier.")),
    responses((status = 200, description = "The endpoint, now deleted.", body = WebhookEndpointBody)),
)]
pub(crate) async fn delete(
    payments: Data<Payments>,
    caller: Caller,
    origin: Origin,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    let endpoint = payments.delete_endpoint(&caller, id.parse()?, &origin).await?;
    Ok(HttpResponse::Ok().json(WebhookEndpointBody::deleted(endpoint)))
}

/// Rotates a webhook endpoint's secret
///
/// During the overlap `X-Webhook-Signature` is made with the old secret and `webhook-signature` carries one
/// signature of each; after it, the new one alone signs. Rotating during an overlap ends the oldest secret
/// at once.
#[utoipa::path(
    post, path = "/api/webhooks/{id}/rotate-secret", operation_id = "rotateWebhookSecret", tag = "webhooks",
    params(("id" = String, Path, description = "The endpoint's identifier.")),
    request_body = SecretRotation,
    responses((status = 200, description = "The endpoint with its new secret.", body = NewWebhookEndpointBody)),
)]
pub(crate) async fn rotate_secret(
    payments: Data<Payments>,
    caller: Caller,
    origin: Origin,
    id: PathId,
    Submitted(Rotation(overlap)): Submitted<Rotation>,
) -> Result<HttpResponse, ApiError> {
    let new = payments.rotate_secret(&caller, id.parse()?, overlap, &origin).await?;
    Ok(HttpResponse::Ok().json(NewWebhookEndpointBody::of(&new)))
}

impl From<CreateEndpointRejection> for ApiError {
    fn from(rejection: CreateEndpointRejection) -> Self {
        match rejection {
            CreateEndpointRejection::Unauthenticated => Self::Unauthenticated(Challenge::Invalid),
            CreateEndpointRejection::Url(problem) => Self::field("url", problem.to_string()),
            CreateEndpointRejection::TooMany => {
                Self::Conflict("You have 20 webhook endpoints, as many as there may be. Delete one first.")
            }
        }
    }
}

impl From<ChangeEndpointRejection> for ApiError {
    fn from(rejection: ChangeEndpointRejection) -> Self {
        match rejection {
            ChangeEndpointRejection::NotFound => Self::NotFound,
            ChangeEndpointRejection::Url(problem) => Self::field("url", problem.to_string()),
        }
    }
}

impl From<NotFound> for ApiError {
    fn from(_: NotFound) -> Self {
        Self::NotFound
    }
}
