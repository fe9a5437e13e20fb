//! What every answer carries, and the one middleware around the whole application.
//!
//! One layer, not one for each concern: a layer costs every request an allocation and a poll.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::time::Instant;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage};
use futures_util::future::LocalBoxFuture;
use ipnet::IpNet;

use crate::access_log;
use crate::client_address;
use crate::config::HttpConfig;
use crate::cors::Cors;
use crate::request_facts::RequestFacts;
use crate::request_id::{RequestIds, X_REQUEST_ID};

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const NO_CONTENT: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Request ids, security headers, CORS and the access log.
#[derive(Clone)]
pub(crate) struct Envelope {
    shared: Rc<Shared>,
}

struct Shared {
    request_ids: RequestIds,
    cors: Cors,
    trusted_proxies: Vec<IpNet>,
}

/// [`Envelope`] around a service.
pub(crate) struct Enveloped<S> {
    service: S,
    shared: Rc<Shared>,
}

impl Envelope {
    /// The envelope that `config` asks for.
    pub(crate) fn new(config: &HttpConfig) -> Self {
        Self {
            shared: Rc::new(Shared {
                request_ids: config.request_ids.clone(),
                cors: Cors::new(&config.cors_origins),
                trusted_proxies: config.trusted_proxies.clone(),
            }),
        }
    }
}

impl<S> Transform<S, ServiceRequest> for Envelope
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
    S::Future: 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type InitError = ();
    type Transform = Enveloped<S>;
    type Future = Ready<Result<Enveloped<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Enveloped { service, shared: Rc::clone(&self.shared) }))
    }
}

impl<S> Service<ServiceRequest> for Enveloped<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
    S::Future: 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let started = Instant::now();
        let shared = Rc::clone(&self.shared);
        let id = shared.request_ids.identify(request.headers());
        let shown = id.shown.clone();
        let origin = shared.cors.allowed(request.headers());
        request.extensions_mut().insert(RequestFacts::new(id));

        if let Some(preflight) = shared.cors.preflight(request.head()) {
            return Box::pin(async move {
                let mut response = request.into_response(preflight);
                shared.finish(&mut response, shown, origin, started);
                Ok(response)
            });
        }
        let answering = self.service.call(request);
        Box::pin(async move {
            let mut response = answering.await?;
            shared.finish(&mut response, shown, origin, started);
            Ok(response)
        })
    }
}

impl Shared {
    fn finish(
        &self,
        response: &mut ServiceResponse,
        request_id: HeaderValue,
        origin: Option<HeaderValue>,
        started: Instant,
    ) {
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, request_id);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        headers.insert(header::REFERRER_POLICY, NO_REFERRER);
        // A handler that knows better has said so.
        insert_default(headers, header::CACHE_CONTROL, NO_STORE);
        insert_default(headers, header::CONTENT_SECURITY_POLICY, NO_CONTENT);
        self.cors.dress(origin, headers);

        let (request, status) = (response.request(), response.status().as_u16());
        let client = client_address::resolve(request.peer_addr(), request.headers(), &self.trusted_proxies);
        access_log::record(request, client, status, started.elapsed());
    }
}

fn insert_default(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    if !headers.contains_key(&name) {
        headers.insert(name, value);
    }
}
