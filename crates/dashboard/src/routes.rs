//! Every page: who may see it, what its requests are counted against, who answers.
//!
//! Architecture invariant: no page exists outside this table, except files that never change (`assets.rs`). The
//! gate in front of each is made from its row, so a handler cannot forget to check a session or a form's token.
//!
//! All of it lies under `/dashboard`, so that a proxy can keep it from the public, or the API from browsers, by one
//! prefix.

use std::rc::Rc;

use actix_web::dev::{ServiceRequest, fn_service};
use actix_web::http::Method;
use actix_web::{Resource, web};
use cryptopay_http::mount::{Budget, Counter};

use crate::gate::{Gate, answer};
use crate::page::Answering;
use crate::site::Site;
use crate::visit::{MerchantVisit, Visit};
use crate::{
    api_key, assets, delivery, login, overview, page, payment_order, register, security, webhook_endpoint,
};

/// Where the dashboard begins.
pub const HOME: &str = "/dashboard";

/// One page, or one thing to do on it.
pub(crate) struct Row {
    /// `GET` to see, `POST` to do.
    pub(crate) method: Method,
    /// Its path, without the trailing slash with which it is answered just the same.
    pub(crate) path: &'static str,
    /// What its requests are counted against.
    pub(crate) budget: Budget,
    /// Who may come, and who answers.
    pub(crate) handler: Handler,
}

/// Who may come, and who answers.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    /// Anyone.
    Anyone(fn(Visit) -> Answering),
    /// A merchant who is logged in; others are sent to the login and come back.
    Merchant(fn(MerchantVisit) -> Answering),
    /// The same, with the password typed recently: credentials change. Others are asked for it first.
    Recent(fn(MerchantVisit) -> Answering),
}

use Budget::{General, Login, Password, Register};
use Handler::{Anyone, Merchant, Recent};

/// The table. Rows of one path stand together; fixed paths stand before those with an `{id}` in the same place.
#[rustfmt::skip]
pub(crate) fn rows() -> Vec<Row> {
    vec![
        get ("/dashboard",                                                   General,  Merchant(|visit| Box::pin(overview::show(visit)))),
        get ("/dashboard/login",                                             General,  Anyone(|visit| Box::pin(login::show(visit)))),
        post("/dashboard/login",                                             Login,    Anyone(|visit| Box::pin(login::log_in(visit)))),
        post("/dashboard/logout",                                            General,  Merchant(|visit| Box::pin(login::log_out(visit)))),
        get ("/dashboard/register",                                          General,  Anyone(|visit| Box::pin(register::show(visit)))),
        post("/dashboard/register",                                          Register, Anyone(|visit| Box::pin(register::register(visit)))),
        get ("/dashboard/payment-orders",                                    General,  Merchant(|visit| Box::pin(payment_order::list::show(visit)))),
        get ("/dashboard/payment-orders/{id}",                               General,  Merchant(|visit| Box::pin(payment_order::show::show(visit)))),
        post("/dashboard/payment-orders/{id}/simulate",                      General,  Merchant(|visit| Box::pin(payment_order::simulate::simulate(visit)))),
        get ("/dashboard/settings/api-keys",                                 General,  Merchant(|visit| Box::pin(api_key::list::show(visit)))),
        get ("/dashboard/settings/api-keys/new",                             General,  Merchant(|visit| Box::pin(api_key::create::show(visit)))),
        post("/dashboard/settings/api-keys/new",                             General,  Recent(|visit| Box::pin(api_key::create::create(visit)))),
        get ("/dashboard/settings/api-keys/{id}",                            General,  Merchant(|visit| Box::pin(api_key::show::show(visit)))),
        post("/dashboard/settings/api-keys/{id}/rename",                     General,  Merchant(|visit| Box::pin(api_key::show::rename(visit)))),
        post("/dashboard/settings/api-keys/{id}/permissions",                General,  Recent(|visit| Box::pin(api_key::show::narrow(visit)))),
        post("/dashboard/settings/api-keys/{id}/narrow",                     General,  Recent(|visit| Box::pin(api_key::narrow::narrow(visit)))),
        post("/dashboard/settings/api-keys/{id}/rotate",                     General,  Recent(|visit| Box::pin(api_key::rotate::rotate(visit)))),
        get ("/dashboard/settings/api-keys/{id}/revoke",                     General,  Merchant(|visit| Box::pin(api_key::revoke::ask(visit)))),
        post("/dashboard/settings/api-keys/{id}/revoke",                     General,  Recent(|visit| Box::pin(api_key::revoke::revoke(visit)))),
        get ("/dashboard/settings/webhooks",                                 General,  Merchant(|visit| Box::pin(webhook_endpoint::list::show(visit)))),
        get ("/dashboard/settings/webhooks/new",                             General,  Merchant(|visit| Box::pin(webhook_endpoint::create::show(visit)))),
        post("/dashboard/settings/webhooks/new",                             General,  Recent(|visit| Box::pin(webhook_endpoint::create::create(visit)))),
        get ("/dashboard/settings/webhooks/{id}",                            General,  Merchant(|visit| Box::pin(webhook_endpoint::show::show(visit)))),
        post("/dashboard/settings/webhooks/{id}/change",                     General,  Recent(|visit| Box::pin(webhook_endpoint::change::change(visit)))),
        post("/dashboard/settings/webhooks/{id}/enable",                     General,  Merchant(|visit| Box::pin(webhook_endpoint::status::enable(visit)))),
        post("/dashboard/settings/webhooks/{id}/disable",                    General,  Merchant(|visit| Box::pin(webhook_endpoint::status::disable(visit)))),
        post("/dashboard/settings/webhooks/{id}/rotate-secret",              General,  Recent(|visit| Box::pin(webhook_endpoint::rotate_secret::rotate(visit)))),
        get ("/dashboard/settings/webhooks/{id}/delete",                     General,  Merchant(|visit| Box::pin(webhook_endpoint::delete::ask(visit)))),
        post("/dashboard/settings/webhooks/{id}/delete",                     General,  Recent(|visit| Box::pin(webhook_endpoint::delete::delete(visit)))),
        post("/dashboard/settings/webhooks/{id}/test",                       General,  Merchant(|visit| Box::pin(delivery::send::test(visit)))),
        get ("/dashboard/settings/webhooks/{id}/deliveries",                 General,  Merchant(|visit| Box::pin(delivery::list::show(visit)))),
        get ("/dashboard/settings/webhooks/{id}/deliveries/{delivery}",      General,  Merchant(|visit| Box::pin(delivery::show::show(visit)))),
        post("/dashboard/settings/webhooks/{id}/deliveries/{delivery}/resend", General,  Merchant(|visit| Box::pin(delivery::send::resend(visit)))),
        get ("/dashboard/settings/security",                                 General,  Merchant(|visit| Box::pin(security::show(visit)))),
        post("/dashboard/settings/security/password",                        Password, Merchant(|visit| Box::pin(security::password::change(visit)))),
        post("/dashboard/settings/security/sessions/end-others",             General,  Merchant(|visit| Box::pin(security::sessions::end_others(visit)))),
        post("/dashboard/settings/security/sessions/{id}/end",               General,  Merchant(|visit| Box::pin(security::sessions::end(visit)))),
    ]
}

fn get(path: &'static str, budget: Budget, handler: Handler) -> Row {
    Row { method: Method::GET, path, budget, handler }
}

fn post(path: &'static str, budget: Budget, handler: Handler) -> Row {
    Row { method: Method::POST, path, budget, handler }
}

/// Registers all pages and files, and the way from `/` to the first of them.
pub(crate) fn register(site: &Site, counter: &Counter, service: &mut web::ServiceConfig) {
    assets::register(service);
    service.service(Resource::new("/").default_service(fn_service(page::lead_home)));
    let mut rows = rows().into_iter().peekable();
    while let Some(first) = rows.next() {
        let path = first.path;
        let mut gates = vec![Gate::new(first, counter)];
        while let Some(row) = rows.next_if(|row| row.path == path) {
            gates.push(Gate::new(row, counter));
        }
        let gates: Rc<[Gate]> = gates.into();
        for pattern in [path.to_owned(), format!("{path}/")] {
            service.service(resource(site, Rc::clone(&gates), pattern));
        }
    }
    service.service(resource(site, Rc::new([]), format!("{HOME}/{{path:.*}}")));
}

fn resource(site: &Site, gates: Rc<[Gate]>, pattern: String) -> Resource {
    let site = Rc::clone(site);
    Resource::new(pattern).default_service(fn_service(move |request: ServiceRequest| {
        answer(Rc::clone(&site), Rc::clone(&gates), request)
    }))
}
