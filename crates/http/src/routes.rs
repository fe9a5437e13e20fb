//! Every route of the API: who may use it, what it takes, who answers.
//!
//! Architecture invariant: no route exists outside this table, except the pages of `docs.rs` and, on a socket
//! of its own, the one of `metrics.rs`. The middleware of each route is made from its row, so a handler cannot
//! forget to check authority.

use std::rc::Rc;

use actix_web::dev::{HttpServiceFactory, ServiceFactory, ServiceRequest, ServiceResponse, fn_service};
use actix_web::{Error, Resource, web};
use cryptopay_auth::Auth;
use cryptopay_domain::Permission::{CreatePayments, FullAccess, ManageWebhooks, Read};

use crate::authority::Authority::{AnyCredential, Anyone, Login, Permission};
use crate::error::ApiError;
use crate::error_code::ErrorCode;
use crate::gate::Gate;
use crate::query::Parameters::{self, AmongOthers, Only};
use crate::rate_limit::{Budget, WorkerLimiter};
use crate::route::BodyRule::{Ignored, Nothing, Optional, Required};
use crate::route::Verb::{Any, Delete, Get, Patch, Post};
use crate::route::{RouteRow, row};
use crate::{
    api_key, api_key_usage, delivery, health, login, openapi, paseto_keys, password, payment_order, profile,
    register, session, token, unread_body, verify, webhook_endpoint,
};

const NONE: Parameters = Only(&[]);
const PAGE: Parameters = Only(&["limit", "cursor"]);
const ASKED: &[&str] = &[crate::query::PERMISSION];

/// The table. Rows of one path stand together; `verify` stands first because routes are tried in order.
#[rustfmt::skip]
pub(crate) static ROUTES: &[RouteRow] = {
    use ErrorCode::*;
    &[
        row(Get,    "/api/auth/verify",                                  AnyCredential,              Only(ASKED),        Nothing,  &[InsufficientPermissions], || web::to(verify::verify)),
        row(Any,    "/api/auth/verify/ext/{path}",                       AnyCredential,              AmongOthers(ASKED), Ignored,  &[InsufficientPermissions], || web::to(verify::verify_ext)),
        row(Post,   "/api/auth/register",                                Anyone,                     NONE,               Required, &[UsernameTaken, EmailTaken, Overloaded], || web::to(register::register)).counted(Budget::Register),
        row(Post,   "/api/auth/login",                                   Anyone,                     NONE,               Required, &[InvalidCredentials, Overloaded], || web::to(login::login)).counted(Budget::Login),
        row(Post,   "/api/auth/token/refresh",                           Anyone,                     NONE,               Required, &[InvalidToken, Overloaded], || web::to(token::refresh)).counted(Budget::Refresh),
        row(Post,   "/api/auth/logout",                                  Login,                      NONE,               Optional, &[], || web::to(session::logout)),
        row(Get,    "/api/auth/me",                                      Login,                      NONE,               Nothing,  &[], || web::to(profile::get)),
        row(Patch,  "/api/auth/me",                                      Login,                      NONE,               Required, &[], || web::to(profile::change)),
        row(Post,   "/api/auth/password",                                Login,                      NONE,               Required, &[], || web::to(password::change)).counted(Budget::Password),
        row(Get,    "/api/auth/sessions",                                Login,                      PAGE,               Nothing,  &[], || web::to(session::list)),
        row(Delete, "/api/auth/sessions",                                Login,                      NONE,               Nothing,  &[], || web::to(session::end_others)),
        row(Delete, "/api/auth/sessions/{id}",                           Login,                      NONE,               Nothing,  &[NotFound], || web::to(session::end)),
        row(Get,    "/api/auth/api-keys",                                Permission(FullAccess),     PAGE,               Nothing,  &[], || web::to(api_key::list)),
        row(Post,   "/api/auth/api-keys",                                Permission(FullAccess),     NONE,               Required, &[Conflict], || web::to(api_key::create)),
        row(Get,    "/api/auth/api-keys/{id}",                           Permission(FullAccess),     NONE,               Nothing,  &[NotFound], || web::to(api_key::get)),
        row(Patch,  "/api/auth/api-keys/{id}",                           Permission(FullAccess),     NONE,               Required, &[NotFound, Conflict], || web::to(api_key::change)),
        row(Delete, "/api/auth/api-keys/{id}",                           Permission(FullAccess),     NONE,               Nothing,  &[NotFound], || web::to(api_key::revoke)),
        row(Post,   "/api/auth/api-keys/{id}/rotate",                    Permission(FullAccess),     NONE,               Optional, &[NotFound, Conflict], || web::to(api_key::rotate)),
        row(Get,    "/api/auth/api-keys/{id}/usage",                     Permission(FullAccess),     NONE,               Nothing,  &[NotFound], || web::to(api_key_usage::get)),
        row(Get,    "/api/payment-orders",                               Permission(Read),           PAGE,               Nothing,  &[], || web::to(payment_order::list)),
        row(Post,   "/api/payment-orders",                               Permission(CreatePayments), NONE,               Required, &[IdempotencyConflict], || web::to(payment_order::create)),
        row(Get,    "/api/payment-orders/{id}",                          Permission(Read),           NONE,               Nothing,  &[NotFound], || web::to(payment_order::get)),
        row(Post,   "/api/payment-orders/{id}/simulate",                 Permission(CreatePayments), NONE,               Required, &[NotFound, Conflict], || web::to(payment_order::simulate)).sandbox_only(),
        row(Get,    "/api/webhooks",                                     Permission(Read),           PAGE,               Nothing,  &[], || web::to(webhook_endpoint::list)),
        row(Post,   "/api/webhooks",                                     Permission(ManageWebhooks), NONE,               Required, &[Conflict], || web::to(webhook_endpoint::create)),
        row(Get,    "/api/webhooks/{id}",                                Permission(Read),           NONE,               Nothing,  &[NotFound], || web::to(webhook_endpoint::get)),
        row(Patch,  "/api/webhooks/{id}",                                Permission(ManageWebhooks), NONE,               Required, &[NotFound], || web::to(webhook_endpoint::change)),
        row(Delete, "/api/webhooks/{id}",                                Permission(ManageWebhooks), NONE,               Nothing,  &[NotFound], || web::to(webhook_endpoint::delete)),
        row(Post,   "/api/webhooks/{id}/rotate-secret",                  Permission(ManageWebhooks), NONE,               Optional, &[NotFound], || web::to(webhook_endpoint::rotate_secret)),
        row(Post,   "/api/webhooks/{id}/test",                           Permission(ManageWebhooks), NONE,               Optional, &[NotFound, Conflict], || web::to(delivery::send_test)),
        row(Get,    "/api/webhooks/{id}/deliveries",                     Permission(Read),           PAGE,               Nothing,  &[NotFound], || web::to(delivery::list)),
        row(Post,   "/api/webhooks/{id}/deliveries/{delivery}/resend",   Permission(ManageWebhooks), NONE,               Optional, &[NotFound, Conflict], || web::to(delivery::resend)),
        row(Post,   "/api/webhooks/{id}/deliveries/{delivery}/diagnose", Permission(ManageWebhooks), NONE,               Required, &[NotFound], || web::to(delivery::diagnose)).sandbox_only(),
        row(Get,    "/api/openapi.json",                                 Anyone,                     NONE,               Nothing,  &[], || web::to(openapi::get)),
        row(Get,    "/.well-known/paseto-keys",                          Anyone,                     AmongOthers(&[]),   Ignored,  &[], || web::to(paseto_keys::list)),
        row(Get,    "/healthz",                                          Anyone,                     AmongOthers(&[]),   Ignored,  &[], || web::to(health::live)).counted(Budget::Unlimited),
        row(Get,    "/readyz",                                           Anyone,                     AmongOthers(&[]),   Ignored,  &[Overloaded], || web::to(health::ready)),
    ]
};

/// Registers every route of the table that exists in the environment; nothing is limited without a limiter.
pub(crate) fn register(auth: &Auth, limiter: Option<&Rc<WorkerLimiter>>, config: &mut web::ServiceConfig) {
    let mut rest = ROUTES;
    while let Some(first) = rest.first() {
        let together = rest.iter().take_while(|row| row.path == first.path).count();
        let (rows, others) = rest.split_at(together);
        if first.availability.includes(auth.environment()) {
            for pattern in patterns(first.path) {
                config.service(resource(auth, limiter, pattern, rows));
            }
        }
        rest = others;
    }
}

/// The methods that a path answers, as `Allow` lists them.
pub(crate) fn allowed_methods(path: &str) -> String {
    methods(ROUTES.iter().filter(|row| row.path == path))
}

/// A resource's answer to a method it does not have.
pub(crate) fn method_not_allowed(
    allow: String,
) -> impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
{
    let allow = std::borrow::Cow::<'static, str>::Owned(allow);
    fn_service(move |request: ServiceRequest| {
        let error = ApiError::MethodNotAllowed(allow.clone());
        async move { Ok(unread_body::refuse(request, error).await) }
    })
}

/// The answer to a path that means nothing.
pub(crate) fn route_not_found()
-> impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
{
    fn_service(|request: ServiceRequest| async {
        Ok(unread_body::refuse(request, ApiError::RouteNotFound).await)
    })
}

/// The patterns of a path: with and without its trailing slash. Fixed paths are compared as they are, which
/// is cheaper than one pattern with an optional slash; a tail takes in its slashes by itself.
fn patterns(path: &str) -> Vec<String> {
    match path.strip_suffix("/{path}") {
        Some(head) => vec![format!("{head}{{path:(/.*)?}}")],
        None => vec![path.to_owned(), format!("{path}/")],
    }
}

fn methods<'a>(rows: impl IntoIterator<Item = &'a RouteRow>) -> String {
    rows.into_iter().map(|row| row.verb.as_str()).collect::<Vec<_>>().join(", ")
}

fn resource(
    auth: &Auth,
    limiter: Option<&Rc<WorkerLimiter>>,
    pattern: String,
    rows: &'static [RouteRow],
) -> impl HttpServiceFactory + 'static {
    let mut resource = Resource::new(pattern).default_service(method_not_allowed(methods(rows)));
    for row in rows {
        let mut route = (row.handler)();
        if let Some(method) = row.verb.method() {
            route = route.method(method);
        }
        resource = resource.route(route.wrap(Gate::new(auth.clone(), limiter.cloned(), row)));
    }
    resource
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use actix_web::App;
    use actix_web::http::header;
    use actix_web::test::{TestRequest, call_service, init_service};
    use cryptopay_domain::Environment;

    use super::*;

    #[test]
    fn verify_stands_first_and_rows_of_one_path_stand_together() {
        assert_eq!(ROUTES[0].path, "/api/auth/verify");
        let mut seen = BTreeSet::new();
        let mut before = "";
        for row in ROUTES {
            assert!(row.path == before || seen.insert(row.path), "{} stands apart", row.path);
            before = row.path;
        }
        let all: BTreeSet<_> = ROUTES.iter().map(|row| (row.path, row.verb.as_str())).collect();
        assert_eq!(all.len(), ROUTES.len());
    }

    #[test]
    fn only_what_the_contract_opens_is_open() {
        let open = ROUTES.iter().filter(|row| !row.authority.is_protected()).map(|row| row.path);
        assert_eq!(
            open.collect::<Vec<_>>(),
            [
                "/api/auth/register",
                "/api/auth/login",
                "/api/auth/token/refresh",
                "/api/openapi.json",
                "/.well-known/paseto-keys",
                "/healthz",
                "/readyz",
            ]
        );
    }

    #[test]
    fn the_rows_of_one_path_exist_in_the_same_environments() {
        for (row, next) in ROUTES.iter().zip(&ROUTES[1..]) {
            assert!(row.path != next.path || row.availability == next.availability, "{}", row.path);
        }
        let sandbox_only = ROUTES.iter().filter(|row| !row.availability.includes(Environment::Production));
        assert_eq!(
            sandbox_only.map(|row| row.path).collect::<Vec<_>>(),
            ["/api/payment-orders/{id}/simulate", "/api/webhooks/{id}/deliveries/{delivery}/diagnose"]
        );
    }

    #[test]
    fn parameters_under_api_are_strict_except_those_of_other_servers() {
        for row in ROUTES {
            let is_strict = matches!(row.query, Only(_)) && row.body != Ignored;
            let is_foreign = !row.path.starts_with("/api") || row.path.contains("/ext/");
            assert_eq!(is_strict, !is_foreign, "{}", row.path);
        }
    }

    #[test]
    fn every_path_has_both_spellings() {
        assert_eq!(patterns("/a/{id}"), ["/a/{id}", "/a/{id}/"]);
        assert_eq!(patterns("/a/ext/{path}"), ["/a/ext{path:(/.*)?}"]);
    }

    #[actix_web::test]
    async fn a_tail_takes_in_everything_below_and_nothing_beside() {
        let app = App::new().service(
            Resource::new(patterns("/a/ext/{path}").remove(0)).route(web::to(actix_web::HttpResponse::Ok)),
        );
        let app = init_service(app).await;
        for (path, status) in [
            ("/a/ext", 200),
            ("/a/ext/", 200),
            ("/a/ext/b/c//d/", 200),
            ("/a/ext/%2F%0A?x=y", 200),
            ("/a/extra", 404),
            ("/a/", 404),
        ] {
            let request = TestRequest::post().uri(path).to_request();
            assert_eq!(call_service(&app, request).await.status(), status, "{path}");
        }
    }

    #[actix_web::test]
    async fn a_method_that_is_not_there_is_told_those_that_are() {
        let resource = Resource::new("/a").default_service(method_not_allowed("GET, PATCH".to_owned()));
        let app = init_service(App::new().service(resource)).await;
        let request = TestRequest::put().uri("/a").to_request();
        let response = call_service(&app, request).await;
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers().get(header::ALLOW).unwrap(), "GET, PATCH");
    }
}
