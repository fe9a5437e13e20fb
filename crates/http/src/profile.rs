//! `GET` and `PATCH /api/auth/me`

use actix_web::HttpResponse;
use actix_web::web::Data;
use cryptopay_auth::Auth;
use cryptopay_domain::DisplayName;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::body::Submitted;
use crate::error::ApiError;
use crate::extract::{Caller, Origin};
use crate::fields::{Fields, FromFields, text};
use crate::user::UserBody;

/// What may be changed of an account.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only describes the body")]
pub(crate) struct ProfileChangeRequest {
    /// Trimmed; no control characters.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$",
        example = "Your Business Name"
    )]
    shop_name: String,
}

/// Shows the account
#[utoipa::path(
    get, path = "/api/auth/me", operation_id = "getProfile", tag = "account",
    responses((status = 200, description = "The account of whoever asks.", body = UserBody)),
)]
pub(crate) async fn get(auth: Data<Auth>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let user = auth.profile(&caller).await?;
    Ok(HttpResponse::Ok().json(UserBody::from(user)))
}

/// Renames the shop
#[utoipa::path(
    patch, path = "/api/auth/me", operation_id = "changeProfile", tag = "account",
    request_body = ProfileChangeRequest,
    responses((status = 200, description = "The account as it is now.", body = UserBody)),
)]
pub(crate) async fn change(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
    Submitted(NewShopName(shop_name)): Submitted<NewShopName>,
) -> Result<HttpResponse, ApiError> {
    let user = auth.rename_shop(&caller, shop_name, &origin).await?;
    Ok(HttpResponse::Ok().json(UserBody::from(user)))
}

pub(crate) struct NewShopName(DisplayName);

impl FromFields for NewShopName {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        fields.required("shop_name", text(DisplayName::parse)).map(Self)
    }
}
