//! `POST /api/auth/login`

use actix_web::HttpResponse;
use actix_web::web::Data;
use cryptopay_auth::{Auth, LoginCommand, LoginRejection};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Submitted;
use crate::error::ApiError;
use crate::extract::Origin;
use crate::fields::{Fields, FromFields, secret, string};
use crate::user::LoggedInUser;

/// Who logs in.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct LoginRequest {
    /// The username, or the e-mail address; either without regard to case.
    #[schema(example = "your-username")]
    username: String,
    #[schema(format = Password, write_only, example = "your-password")]
    password: String,
}

/// A session's first tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoginResponse<'a> {
    /// The access token: the bearer credential of the next 24 hours. Opaque to clients.
    #[schema(example = "v4.public.…")]
    access: &'a str,
    /// The refresh token, for 30 days: worth the next pair of tokens. Opaque to clients.
    #[schema(example = "…")]
    refresh: &'a str,
    user: LoggedInUser,
}

/// Logs in
///
/// Begins a session. An unknown user and a wrong password are told apart by nothing. After too many wrong passwords for
/// one name, or from one network, the next has to wait, whoever it is from: a 429, for at most 15 minutes. From a network
/// that has logged the merchant in within 30 days, wrong passwords are counted apart.
#[utoipa::path(
    post, path = "/api/auth/login", operation_id = "login", tag = "session",
    request_body = LoginRequest,
    responses((status = 200, description = "A session has begun.", body = LoginResponse)),
)]
pub(crate) async fn login(
    auth: Data<Auth>,
    origin: Origin,
    Submitted(Credentials(command)): Submitted<Credentials>,
) -> Result<HttpResponse, ApiError> {
    let logged_in = auth.login(command, &origin).await?;
    Ok(HttpResponse::Ok().json(LoginResponse {
        access: logged_in.access.expose(),
        refresh: logged_in.refresh.expose(),
        user: logged_in.user.into(),
    }))
}

pub(crate) struct Credentials(LoginCommand);

impl FromFields for Credentials {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        // No rules here: what could never be registered is refused like any other wrong guess.
        let username = fields.required("username", string);
        let password = fields.required("password", secret);
        Some(Self(LoginCommand { username: username?, password: password? }))
    }
}

impl From<LoginRejection> for ApiError {
    fn from(rejection: LoginRejection) -> Self {
        match rejection {
            LoginRejection::WrongCredentials => Self::InvalidCredentials,
            LoginRejection::Throttled(throttled) => Self::RateLimited { retry_after: throttled.retry_after },
        }
    }
}
