//! `/api/auth/api-keys` and what lies under it

mod rejection;
pub(crate) mod request;
mod response;

use actix_web::HttpResponse;
use actix_web::web::Data;
use cryptopay_auth::{Auth, NewApiKey};
use cryptopay_domain::ApiKeyId;
use cryptopay_domain::api_key::ApiKey;

use crate::body::Submitted;
use crate::cursor::{ListBody, ListRequest, PageParameters};
use crate::error::ApiError;
use crate::extract::{Caller, Origin, PathId};
use request::{ApiKeyChangeRequest, ApiKeyCreation, ApiKeyRotation, Change, Creation, Rotation};
use response::{ApiKeyBody, NewApiKeyBody};

pub(crate) use response::PermissionName;

/// Lists the API keys
///
/// Expired and revoked ones too, for 90 days. An API key sees itself and the keys made under it.
#[utoipa::path(
    get, path = "/api/auth/api-keys", operation_id = "listApiKeys", tag = "API keys",
    params(PageParameters),
    responses((status = 200, description = "The keys, newest first.", body = ListBody<ApiKeyBody>)),
)]
pub(crate) async fn list(
    auth: Data<Auth>,
    caller: Caller,
    list: ListRequest<ApiKeyId>,
) -> Result<HttpResponse, ApiError> {
    let page = auth.list_api_keys(&caller, list.page()).await?;
    let now = auth.clock().now();
    Ok(HttpResponse::Ok().json(list.answer(page, |key| ApiKeyBody::at(now, key))))
}

/// Makes an API key
///
/// The answer is the only time the key is seen. At most 100 active keys a merchant.
#[utoipa::path(
    post, path = "/api/auth/api-keys", operation_id = "createApiKey", tag = "API keys",
    request_body = ApiKeyCreation,
    responses((status = 201, description = "The key.", body = NewApiKeyBody)),
)]
pub(crate) async fn create(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
    Submitted(Creation(request)): Submitted<Creation>,
) -> Result<HttpResponse, ApiError> {
    let new = auth.create_api_key(&caller, request, &origin).await?;
    Ok(created(&auth, new))
}

/// Shows one API key
#[utoipa::path(
    get, path = "/api/auth/api-keys/{id}", operation_id = "getApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The key's identifier.")),
    responses((status = 200, description = "The key's details.", body = ApiKeyBody)),
)]
pub(crate) async fn get(auth: Data<Auth>, caller: Caller, id: PathId) -> Result<HttpResponse, ApiError> {
    let key = auth.find_api_key(&caller, id.parse()?).await?;
    Ok(shown(&auth, key))
}

/// Renames or narrows an API key
///
/// Narrowing reaches the keys made under it, and takes effect at once like a revocation.
#[utoipa::path(
    patch, path = "/api/auth/api-keys/{id}", operation_id = "changeApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The key's identifier.")),
    request_body = ApiKeyChangeRequest,
    responses((status = 200, description = "The key as it is now.", body = ApiKeyBody)),
)]
pub(crate) async fn change(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
    id: PathId,
    Submitted(Change(change)): Submitted<Change>,
) -> Result<HttpResponse, ApiError> {
    let key = auth.change_api_key(&caller, id.parse()?, change, &origin).await?;
    Ok(shown(&auth, key))
}

/// Revokes an API key
///
/// At once, and the keys made under it with it. Doing it again answers the same.
#[utoipa::path(
    delete, path = "/api/auth/api-keys/{id}", operation_id = "revokeApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The key's identifier.")),
    responses((status = 200, description = "The key, now revoked.", body = ApiKeyBody)),
)]
pub(crate) async fn revoke(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    let key = auth.revoke_api_key(&caller, id.parse()?, &origin).await?;
    Ok(shown(&auth, key))
}

/// Rotates an API key
///
/// Makes a successor with the same name, permissions and end. The old key works on for the overlap, then
/// stops by itself. If the answer was lost, rotate again: a successor that nobody has used is replaced.
#[utoipa::path(
    post, path = "/api/auth/api-keys/{id}/rotate", operation_id = "rotateApiKey", tag = "API keys",
    params(("id" = String, Path, description = "The key's identifier.")),
    request_body = ApiKeyRotation,
    responses((status = 201, description = "The successor.", body = NewApiKeyBody)),
)]
pub(crate) async fn rotate(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
    id: PathId,
    Submitted(Rotation { overlap }): Submitted<Rotation>,
) -> Result<HttpResponse, ApiError> {
    let new = auth.rotate_api_key(&caller, id.parse()?, overlap, &origin).await?;
    Ok(created(&auth, new))
}

fn created(auth: &Auth, new: NewApiKey) -> HttpResponse {
    let details = ApiKeyBody::at(auth.clock().now(), new.details);
    HttpResponse::Created().json(NewApiKeyBody { key: new.key.expose(), details })
}

fn shown(auth: &Auth, key: ApiKey) -> HttpResponse {
    HttpResponse::Ok().json(ApiKeyBody::at(auth.clock().now(), key))
}
