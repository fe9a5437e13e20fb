//! `POST /api/auth/logout`, `/api/auth/sessions` and what lies under it

use actix_web::HttpResponse;
use actix_web::web::Data;
use cryptopay_auth::{Auth, EndSessionRejection, LoginRequired};
use cryptopay_domain::{Session, SessionId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::Submitted;
use crate::cursor::{ListBody, ListRequest, PageParameters};
use crate::error::ApiError;
use crate::extract::{Caller, Origin, PathId};
use crate::fields::NoFields;

/// A login session.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionBody {
    #[schema(example = "0193f1b2c3d4700089abcdef01234567")]
    id: String,
    /// When its owner logged in.
    #[schema(format = DateTime, example = "2024-01-02T12:00:00Z")]
    created_at: String,
    /// When one of its tokens was last presented, to within a minute.
    #[schema(format = DateTime, example = "2024-01-02T12:00:00Z")]
    last_used_at: String,
    /// When it ends unless it is refreshed before.
    #[schema(format = DateTime, example = "2024-02-01T12:00:00Z")]
    expires_at: String,
    /// The client's address at login.
    #[schema(example = "192.0.2.1")]
    ip: String,
    /// What the client called itself at login.
    #[schema(required, example = "curl/8.5.0")]
    user_agent: Option<String>,
    /// Whether it is the session that asks.
    current: bool,
}

/// How many sessions ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndedResponse {
    #[schema(example = 1)]
    ended: u64,
}

/// Logs out
///
/// Ends this session at once, its access tokens included.
#[utoipa::path(
    post, path = "/api/auth/logout", operation_id = "logout", tag = "session",
    responses((status = 200, description = "The session has ended.", body = EndedResponse)),
)]
pub(crate) async fn logout(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
    Submitted(NoFields): Submitted<NoFields>,
) -> Result<HttpResponse, ApiError> {
    let ended = auth.logout(&caller, &origin).await?;
    Ok(ended_response(ended))
}

/// Lists the login sessions
#[utoipa::path(
    get, path = "/api/auth/sessions", operation_id = "listSessions", tag = "session",
    params(PageParameters),
    responses((status = 200, description = "The sessions that have not ended, newest first.", body = ListBody<SessionBody>)),
)]
pub(crate) async fn list(
    auth: Data<Auth>,
    caller: Caller,
    list: ListRequest<SessionId>,
) -> Result<HttpResponse, ApiError> {
    let page = auth.list_sessions(&caller, list.page()).await?;
    let current = caller.session();
    Ok(HttpResponse::Ok().json(list.answer(page, |session| view(session, current))))
}

/// Ends one session
///
/// At once, its access tokens included. It may be the one that asks.
#[utoipa::path(
    delete, path = "/api/auth/sessions/{id}", operation_id = "endSession", tag = "session",
    params(("id" = String, Path, description = "The session's identifier.")),
    responses((status = 200, description = "The session has ended.", body = EndedResponse)),
)]
pub(crate) async fn end(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    let ended = auth.end_session(&caller, id.parse()?, &origin).await?;
    Ok(ended_response(ended))
}

/// Ends all other sessions
///
/// At once, their access tokens included. The session that asks lives on.
#[utoipa::path(
    delete, path = "/api/auth/sessions", operation_id = "endOtherSessions", tag = "session",
    responses((status = 200, description = "The other sessions have ended.", body = EndedResponse)),
)]
pub(crate) async fn end_others(
    auth: Data<Auth>,
    caller: Caller,
    origin: Origin,
) -> Result<HttpResponse, ApiError> {
    let ended = auth.end_other_sessions(&caller, &origin).await?;
    Ok(ended_response(ended))
}

/// The answer of whatever ends sessions.
pub(crate) fn ended_response(ended: u64) -> HttpResponse {
    HttpResponse::Ok().json(EndedResponse { ended })
}

impl From<LoginRequired> for ApiError {
    fn from(_: LoginRequired) -> Self {
        Self::LoginRequired
    }
}

impl From<EndSessionRejection> for ApiError {
    fn from(rejection: EndSessionRejection) -> Self {
        match rejection {
            EndSessionRejection::LoginRequired => Self::LoginRequired,
            EndSessionRejection::NotFound => Self::NotFound,
        }
    }
}

fn view(session: Session, current: Option<SessionId>) -> SessionBody {
    SessionBody {
        id: session.id.to_string(),
        created_at: session.created_at.to_string(),
        last_used_at: session.last_used_at.to_string(),
        expires_at: session.expires_at.to_string(),
        ip: session.ip,
        user_agent: session.user_agent,
        current: Some(session.id) == current,
    }
}
