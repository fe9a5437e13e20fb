//! `POST /api/auth/token/refresh`

use actix_web::HttpResponse;
use actix_web::web::Data;
use cryptopay_auth::{Auth, RefreshRejection};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Submitted;
use crate::error::ApiError;
use crate::extract::Origin;
use crate::fields::{Fields, FromFields, secret};

/// The refresh token to spend.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct RefreshRequest {
    /// The refresh token of the last login or refresh.
    #[schema(write_only, example = "your-refresh-token")]
    refresh: String,
}

/// A session's next tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct RefreshResponse<'a> {
    /// The new access token.
    #[schema(example = "new-access-token")]
    access: &'a str,
    /// The new refresh token; the old one is spent.
    #[schema(example = "new-refresh-token")]
    refresh: &'a str,
}

/// Refreshes a session's tokens
///
/// The old refresh token is spent. Whoever lost the answer asks again and gets the same new refresh token;
/// once that one has been used, the old one is soon worth nothing, and its reuse ends the session.
#[utoipa::path(
    post, path = "/api/auth/token/refresh", operation_id = "refreshToken", tag = "session",
    request_body = RefreshRequest,
    responses((status = 200, description = "The next pair of tokens.", body = RefreshResponse)),
)]
pub(crate) async fn refresh(
    auth: Data<Auth>,
    origin: Origin,
    Submitted(Spent(token)): Submitted<Spent>,
) -> Result<HttpResponse, ApiError> {
    let pair = auth.refresh(token.expose_secret(), &origin).await?;
    Ok(HttpResponse::Ok()
        .json(RefreshResponse { access: pair.access.expose(), refresh: pair.refresh.expose() }))
}

pub(crate) struct Spent(SecretString);

impl FromFields for Spent {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        fields.required("refresh", secret).map(Self)
    }
}

impl From<RefreshRejection> for ApiError {
    fn from(_: RefreshRejection) -> Self {
        Self::RefreshTokenRefused
    }
}
