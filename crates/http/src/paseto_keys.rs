//! `GET /.well-known/paseto-keys`

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use cryptopay_auth::Auth;
use cryptopay_auth::KeyListing;
use serde::Serialize;
use utoipa::ToSchema;

/// The public keys that access tokens are verified with.
#[derive(Serialize, ToSchema)]
pub(crate) struct PasetoKeysResponse {
    keys: Vec<PasetoKey>,
}

/// One public key.
#[derive(Serialize, ToSchema)]
struct PasetoKey {
    /// Its name, which tokens carry in their footer (PASERK `k4.pid`).
    #[schema(pattern = "^k4\\.pid\\.", example = "k4.pid.…")]
    kid: String,
    /// The key (PASERK `k4.public`).
    #[schema(pattern = "^k4\\.public\\.", example = "k4.public.…")]
    paserk: String,
    /// `next`: will sign soon; `active`: signs; `retiring`: signed tokens that are still valid.
    #[schema(value_type = KeyStatusName, example = "active")]
    status: &'static str,
}

/// What a key is for now.
#[derive(ToSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schema(as = KeyStatus)]
#[expect(dead_code, reason = "only describes the values")]
enum KeyStatusName {
    Next,
    Active,
    Retiring,
}

/// Publishes the keys that access tokens are verified with
///
/// May be kept for five minutes: a key is published at least that long before it signs.
#[utoipa::path(
    get, path = "/.well-known/paseto-keys", operation_id = "listPasetoKeys", tag = "verification",
    responses((status = 200, description = "The keys.", body = PasetoKeysResponse)),
)]
pub(crate) async fn list(auth: Data<Auth>) -> HttpResponse {
    let keys = auth.published_keys().into_iter().map(view).collect();
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .json(PasetoKeysResponse { keys })
}

fn view(key: KeyListing) -> PasetoKey {
    PasetoKey { kid: key.kid.to_string(), paserk: key.public_paserk, status: key.status.as_str() }
}
