//! `GET /healthz` and `GET /readyz`

use actix_web::HttpResponse;
use actix_web::web::Data;
use cryptopay_auth::Auth;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;

/// How the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthResponse {
    /// Always `ok`: whatever is not is a 503.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Tells that the process lives
///
/// Touches nothing, so that a store out of reach never makes an orchestrator restart healthy processes.
#[utoipa::path(
    get, path = "/healthz", operation_id = "health", tag = "operation",
    responses((status = 200, description = "The process answers.", body = HealthResponse)),
)]
pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(HealthResponse { status: "ok" })
}

/// Tells whether requests should be sent here
///
/// Touches the store, and waits for the first snapshot of revocations.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readiness", tag = "operation",
    responses((status = 200, description = "The server is ready.", body = HealthResponse)),
)]
pub(crate) async fn ready(auth: Data<Auth>) -> Result<HttpResponse, ApiError> {
    auth.ready().await?;
    Ok(HttpResponse::Ok().json(HealthResponse { status: "ok" }))
}
