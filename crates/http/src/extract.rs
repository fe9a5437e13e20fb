//! What handlers ask for beside their body: the caller, the origin of the request, an identifier in the path.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use cryptopay_auth::{Principal, RequestContext};
use cryptopay_domain::DeliveryId;

use crate::client_address;
use crate::config::HttpConfig;
use crate::error::ApiError;
use crate::request_facts::RequestFacts;

/// So many characters of a user agent are kept.
const LONGEST_USER_AGENT: usize = 512;

/// Who sent the request, as the route's gate found out.
pub(crate) struct Caller(Arc<Principal>);

/// Where the request comes from.
pub(crate) struct Origin(RequestContext);

/// The `{id}` of the path. It is read by the handler, not by the extractor, since a malformed one is a 404
/// and that comes after every problem with the body.
pub(crate) struct PathId(String);

/// The `{delivery}` of the path, read like [`PathId`].
pub(crate) struct DeliveryPathId(PathId);

impl Caller {
    /// The principal as its cache shares it: one value, one address, until it changes.
    pub(crate) const fn shared(&self) -> &Arc<Principal> {
        &self.0
    }
}

impl PathId {
    /// The identifier; one that cannot be is one that does not exist.
    pub(crate) fn parse<T: FromStr>(&self) -> Result<T, ApiError> {
        self.0.parse().map_err(|_| ApiError::NotFound)
    }
}

impl DeliveryPathId {
    /// The identifier; one that cannot be is one that does not exist.
    pub(crate) fn parse(&self) -> Result<DeliveryId, ApiError> {
        self.0.parse()
    }
}

impl Deref for Caller {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl Deref for Origin {
    type Target = RequestContext;

    fn deref(&self) -> &RequestContext {
        &self.0
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let principal = extensions.get::<RequestFacts>().and_then(|facts| facts.principal.clone());
        // Absent only if the table gives a route to anyone whose handler wants a caller.
        ready(principal.map(Self).ok_or(ApiError::Internal))
    }
}

impl FromRequest for Origin {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(context(request))))
    }
}

/// Where a request comes from.
pub(crate) fn context(request: &HttpRequest) -> RequestContext {
    let trusted = request.app_data::<web::Data<HttpConfig>>();
    let trusted = trusted.map_or(&[][..], |config| &config.trusted_proxies);
    let user_agent = request
        .headers()
        .get(header::USER_AGENT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).chars().take(LONGEST_USER_AGENT).collect());
    let extensions = request.extensions();
    let id = extensions.get::<RequestFacts>().map(|facts| facts.id.own.to_string());
    RequestContext {
        client: client_address::resolve(request.peer_addr(), request.headers(), trusted),
        user_agent,
        request_id: id.unwrap_or_default(),
    }
}

impl FromRequest for PathId {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(segment(request, "id")))
    }
}

impl FromRequest for DeliveryPathId {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(segment(request, "delivery"))))
    }
}

fn segment(request: &HttpRequest, name: &str) -> PathId {
    PathId(request.match_info().get(name).unwrap_or_default().to_owned())
}
