//! `POST /api/auth/register`

use actix_web::HttpResponse;
use actix_web::web::Data;
use cryptopay_auth::{Auth, RegisterCommand, RegisterRejection};
use cryptopay_domain::{DisplayName, EmailAddress, Username};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::body::Submitted;
use crate::error::ApiError;
use crate::extract::Origin;
use crate::fields::{FieldProblems, Fields, FromFields, text};
use crate::password;
use crate::user::UserResponse;

/// What a new merchant says.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct RegisterRequest {
    /// Unique without regard to case.
    #[schema(min_length = 3, max_length = 64, pattern = "^[A-Za-z0-9._-]+$", example = "your-username")]
    username: String,
    /// Unique without regard to case.
    #[schema(format = "email", max_length = 254, example = "your-email@example.com")]
    email: String,
    /// Any Unicode; compared after NFKC. It must be hard to guess (a zxcvbn score of 3 or better); a weak one
    /// is told what would make it stronger.
    #[schema(format = Password, write_only, min_length = 8, max_length = 256, example = "your-secure-password")]
    password: String,
    /// Trimmed; no control characters.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$",
        example = "Your Business Name"
    )]
    shop_name: String,
}

/// Registers a merchant
///
/// Opens an account. Nobody is logged in by it.
#[utoipa::path(
    post, path = "/api/auth/register", operation_id = "register", tag = "account",
    request_body = RegisterRequest,
    responses((status = 201, description = "The account is open.", body = UserResponse)),
)]
pub(crate) async fn register(
    auth: Data<Auth>,
    origin: Origin,
    Submitted(Registration(command)): Submitted<Registration>,
) -> Result<HttpResponse, ApiError> {
    let user = auth.register(command, &origin).await?;
    Ok(HttpResponse::Created().json(UserResponse::from(user)))
}

pub(crate) struct Registration(RegisterCommand);

impl FromFields for Registration {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let username = fields.required("username", text(Username::parse));
        let email = fields.required("email", text(EmailAddress::parse));
        let password: Option<SecretString> = fields.required("password", password::new_password);
        let shop_name = fields.required("shop_name", text(DisplayName::parse));
        Some(Self(RegisterCommand {
            username: username?,
            email: email?,
            password: password?,
            shop_name: shop_name?,
        }))
    }
}

impl From<RegisterRejection> for ApiError {
    fn from(rejection: RegisterRejection) -> Self {
        match rejection {
            RegisterRejection::WeakPassword(advice) => weak_password("password", advice),
            RegisterRejection::UsernameTaken => Self::UsernameTaken,
            RegisterRejection::EmailTaken => Self::EmailTaken,
        }
    }
}

/// What the policy has against a password, under the field it came in.
pub(crate) fn weak_password(field: &str, advice: Vec<String>) -> ApiError {
    let mut problems = FieldProblems::default();
    for sentence in advice {
        problems.add(field, sentence);
    }
    if problems.is_empty() {
        problems.add(field, "is too easy to guess");
    }
    ApiError::Validation(problems)
}
