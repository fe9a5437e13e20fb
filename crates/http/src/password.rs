//! `POST /api/auth/password`

use actix_web::HttpResponse;
use actix_web::web::Data;
use cryptopay_auth::{Auth, ChangePasswordCommand, ChangePasswordRejection};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::body::Submitted;
use crate::error::ApiError;
use crate::extract::{Caller, Origin};
use crate::fields::{Fields, FromFields, secret};
use crate::register::weak_password;
use crate::session::{EndedResponse, ended_response};

/// How many characters a new password may have, counted before normalisation.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=256;

/// The old password and the new one.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct PasswordChangeRequest {
    /// The present password. A wrong one is a 400, never a 401.
    #[schema(format = Password, write_only, example = "your-secure-password")]
    current_password: String,
    /// By the rules of registration.
    #[schema(format = Password, write_only, min_length = 8, max_length = 256, example = "your-next-secure-password")]
    new_password: String,
}

/// Changes the password
///
/// Ends every other session at once, their access tokens included. API keys live on. After too many wrong current
/// passwords the next has to wait: a 429, for at most 15 minutes.
#[utoipa::path(
    post, path = "/api/auth/password", operation_id = "changePassword", tag = "account",
    request_body = PasswordChangeRequest,
    responses((status = 200, description = "The password is changed; so many other sessions ended.", body = EndedResponse)),
)]
pub(crate) async fn change(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
    Submitted(Change(command)): Submitted<Change>,
) -> Result<HttpResponse, ApiError> {
    let ended = auth.change_password(&caller, command, &origin).await?;
    Ok(ended_response(ended))
}

/// Reads a new password; how hard it is to guess, the use case judges.
pub(crate) fn new_password(value: &RawValue) -> Result<SecretString, String> {
    let password = secret(value)?;
    if LENGTH.contains(&password.expose_secret().chars().count()) {
        Ok(password)
    } else {
        Err("must have 8 to 256 characters".to_owned())
    }
}

pub(crate) struct Change(ChangePasswordCommand);

impl FromFields for Change {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let current_password = fields.required("current_password", secret);
        let new_password = fields.required("new_password", new_password);
        Some(Self(ChangePasswordCommand { current_password: current_password?, new_password: new_password? }))
    }
}

impl From<ChangePasswordRejection> for ApiError {
    fn from(rejection: ChangePasswordRejection) -> Self {
        match rejection {
            ChangePasswordRejection::LoginRequired => Self::LoginRequired,
            ChangePasswordRejection::WrongCurrentPassword => {
                Self::field("current_password", "is not the present password")
            }
            ChangePasswordRejection::Throttled(throttled) => {
                Self::RateLimited { retry_after: throttled.retry_after }
            }
            ChangePasswordRejection::WeakPassword(advice) => weak_password("new_password", advice),
        }
    }
}
