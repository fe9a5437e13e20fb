//! Every operation of the OpenAPI document, and what becomes of everyone who comes to it.

use std::collections::BTreeSet;

use cryptopay_domain::Permission;
use cryptopay_testkit::{Backend, Cast, Document, Operation, PASSWORD, Persona, TestApp, on_both_databases};

use crate::objects::{everything, payment_order, webhook_endpoint};

/// One operation, and the verdicts in the order of [`Persona::ACCEPTED`], after that on everyone who is
/// refused.
struct Row {
    method: &'static str,
    path: &'static str,
    body: &'static str,
    refused: &'static str,
    accepted: [&'static str; 6],
}

const OK: &str = "200";
const MADE: &str = "201";
const SENT: &str = "202";
const NOBODY: &str = "401 INVALID_TOKEN";
const LACKS: &str = "403 INSUFFICIENT_PERMISSIONS";
const HIDDEN: &str = "404 NOT_FOUND";

const REGISTER: &str =
    r#"{"username": "new{n}", "email": "new{n}@example.com", "password": "{password}", "shop_name": "New"}"#;
const PASSWORDS: &str = r#"{"current_password": "{password}", "new_password": "{password}"}"#;

#[rustfmt::skip]
const TABLE: &[Row] = &[
    //                                                                                                                      refused  alice  bob    read   create webhook full
    row("GET",     "/healthz",                         "",                                                                  OK,     [OK,    OK,    OK,    OK,    OK,    OK]),
    row("GET",     "/readyz",                          "",                                                                  OK,     [OK,    OK,    OK,    OK,    OK,    OK]),
    row("GET",     "/.well-known/paseto-keys",         "",                                                                  OK,     [OK,    OK,    OK,    OK,    OK,    OK]),
    row("GET",     "/api/openapi.json",                "",                                                                  OK,     [OK,    OK,    OK,    OK,    OK,    OK]),
    row("POST",    "/api/auth/register",               REGISTER,                                                            MADE,   [MADE,  MADE,  MADE,  MADE,  MADE,  MADE]),
    row("POST",    "/api/auth/login",                  r#"{"username": "bob", "password": "{password}"}"#,                  OK,     [OK,    OK,    OK,    OK,    OK,    OK]),
    row("POST",    "/api/auth/token/refresh",          r#"{"refresh": "{refresh}"}"#,                                       OK,     [OK,    OK,    OK,    OK,    OK,    OK]),
    row("GET",     "/api/auth/verify",                 "",                                                                  NOBODY, [OK,    OK,    OK,    OK,    OK,    OK]),
    row("GET",     "/api/auth/verify/ext/{path}",      "",                                                                  NOBODY, [OK,    OK,    OK,    OK,    OK,    OK]),
    row("PUT",     "/api/auth/verify/ext/{path}",      "not JSON",                                                          NOBODY, [OK,    OK,    OK,    OK,    OK,    OK]),
    row("TRACE",   "/api/auth/verify/ext/{path}",      "",                                                                  NOBODY, [OK,    OK,    OK,    OK,    OK,    OK]),
    row("POST",    "/api/auth/verify/ext/{path}",      "{}",                                                                NOBODY, [OK,    OK,    OK,    OK,    OK,    OK]),
    row("DELETE",  "/api/auth/verify/ext/{path}",      "",                                                                  NOBODY, [OK,    OK,    OK,    OK,    OK,    OK]),
    row("OPTIONS", "/api/auth/verify/ext/{path}",      "",                                                                  NOBODY, [OK,    OK,    OK,    OK,    OK,    OK]),
    row("HEAD",    "/api/auth/verify/ext/{path}",      "",                                                                  "401",  [OK,    OK,    OK,    OK,    OK,    OK]),
    row("PATCH",   "/api/auth/verify/ext/{path}",      "{}",                                                                NOBODY, [OK,    OK,    OK,    OK,    OK,    OK]),
    row("POST",    "/api/auth/logout",                 "",                                                                  NOBODY, [OK,    OK,    LACKS, LACKS, LACKS, LACKS]),
    row("GET",     "/api/auth/me",                     "",                                                                  NOBODY, [OK,    OK,    LACKS, LACKS, LACKS, LACKS]),
    row("PATCH",   "/api/auth/me",                     r#"{"shop_name": "Other"}"#,                                         NOBODY, [OK,    OK,    LACKS, LACKS, LACKS, LACKS]),
    row("POST",    "/api/auth/password",               PASSWORDS,                                                           NOBODY, [OK,    OK,    LACKS, LACKS, LACKS, LACKS]),
    row("GET",     "/api/auth/sessions",               "",                                                                  NOBODY, [OK,    OK,    LACKS, LACKS, LACKS, LACKS]),
    row("DELETE",  "/api/auth/sessions",               "",                                                                  NOBODY, [OK,    OK,    LACKS, LACKS, LACKS, LACKS]),
    row("DELETE",  "/api/auth/sessions/{id}",          "",                                                                  NOBODY, [OK,    HIDDEN, LACKS, LACKS, LACKS, LACKS]),
    row("GET",     "/api/auth/api-keys",               "",                                                                  NOBODY, [OK,    OK,    LACKS, LACKS, LACKS, OK]),
    row("POST",    "/api/auth/api-keys",               r#"{"name": "k", "permissions": ["read"]}"#,                         NOBODY, [MADE,  MADE,  LACKS, LACKS, LACKS, MADE]),
    row("GET",     "/api/auth/api-keys/{id}",          "",                                                                  NOBODY, [OK,    HIDDEN, LACKS, LACKS, LACKS, HIDDEN]),
    row("PATCH",   "/api/auth/api-keys/{id}",          r#"{"name": "renamed"}"#,                                            NOBODY, [OK,    HIDDEN, LACKS, LACKS, LACKS, HIDDEN]),
    row("DELETE",  "/api/auth/api-keys/{id}",          "",                                                                  NOBODY, [OK,    HIDDEN, LACKS, LACKS, LACKS, HIDDEN]),
    row("POST",    "/api/auth/api-keys/{id}/rotate",   "",                                                                  NOBODY, [MADE,  HIDDEN, LACKS, LACKS, LACKS, HIDDEN]),
    row("GET",     "/api/auth/api-keys/{id}/usage",    "",                                                                  NOBODY, [OK,    HIDDEN, LACKS, LACKS, LACKS, HIDDEN]),
    row("GET",     "/api/payment-orders",              "",                                                                  NOBODY, [OK,    OK,    OK,    LACKS, LACKS, OK]),
    row("POST",    "/api/payment-orders",              r#"{"amount": "49.90", "currency": "USD"}"#,                         NOBODY, [MADE,  MADE,  LACKS, MADE,  LACKS, MADE]),
    row("GET",     "/api/payment-orders/{id}",         "",                                                                  NOBODY, [OK,    HIDDEN, OK,   LACKS, LACKS, OK]),
    row("POST",    "/api/payment-orders/{id}/simulate", r#"{"status": "paid"}"#,                                            NOBODY, [OK,    HIDDEN, LACKS, OK,   LACKS, OK]),
    row("GET",     "/api/webhooks",                    "",                                                                  NOBODY, [OK,    OK,    OK,    LACKS, LACKS, OK]),
    row("POST",    "/api/webhooks",                    r#"{"url": "https://shop.example", "events": ["*"]}"#,               NOBODY, [MADE,  MADE,  LACKS, LACKS, MADE,  MADE]),
    row("GET",     "/api/webhooks/{id}",               "",                                                                  NOBODY, [OK,    HIDDEN, OK,   LACKS, LACKS, OK]),
    row("PATCH",   "/api/webhooks/{id}",               r#"{"description": "Other"}"#,                                       NOBODY, [OK,    HIDDEN, LACKS, LACKS, OK,   OK]),
    row("DELETE",  "/api/webhooks/{id}",               "",                                                                  NOBODY, [OK,    HIDDEN, LACKS, LACKS, OK,   OK]),
    row("POST",    "/api/webhooks/{id}/rotate-secret", "",                                                                  NOBODY, [OK,    HIDDEN, LACKS, LACKS, OK,   OK]),
    row("POST",    "/api/webhooks/{id}/test",          "",                                                                  NOBODY, [SENT,  HIDDEN, LACKS, LACKS, SENT, SENT]),
    row("GET",     "/api/webhooks/{id}/deliveries",    "",                                                                  NOBODY, [OK,    HIDDEN, OK,   LACKS, LACKS, OK]),
    row("POST",    "/api/webhooks/{id}/deliveries/{delivery}/resend", "",                                                   NOBODY, [SENT,  HIDDEN, LACKS, LACKS, SENT, SENT]),
    row("POST",    "/api/webhooks/{id}/deliveries/{delivery}/diagnose", r#"{"signature": "x"}"#,                            NOBODY, [OK,    HIDDEN, LACKS, LACKS, OK,   OK]),
];

const fn row(
    method: &'static str,
    path: &'static str,
    body: &'static str,
    refused: &'static str,
    accepted: [&'static str; 6],
) -> Row {
    Row { method, path, body, refused, accepted }
}

#[test]
fn every_operation_of_the_document_has_a_row() {
    let key = |operation: &Operation| (operation.path.clone(), operation.method.clone());
    let documented: BTreeSet<_> = Document::of_the_code().operations().iter().map(key).collect();
    let rows: BTreeSet<_> = TABLE.iter().map(|row| (row.path.to_owned(), row.method.to_owned())).collect();
    assert_eq!(rows, documented);
    assert_eq!(rows.len(), TABLE.len());
}

#[test]
fn the_document_says_which_operations_are_open() {
    for operation in Document::of_the_code().operations() {
        let row = TABLE.iter().find(|row| (row.method, row.path) == (&operation.method, &operation.path));
        let is_open = !row.unwrap().refused.starts_with("401");
        assert_eq!(operation.is_open, is_open, "{operation:?}");
    }
}

on_both_databases! {
    every_operation_lets_in_whom_it_should_and_nobody_else => table;
}

async fn table(backend: Backend) {
    let app = TestApp::start(backend).await;
    let cast = Cast::assemble(&app.core).await;
    for (number, row) in TABLE.iter().enumerate() {
        for persona in Persona::REFUSED {
            check(&app, &cast, row, persona, row.refused, number).await;
        }
        for (persona, expected) in Persona::ACCEPTED.into_iter().zip(row.accepted) {
            check(&app, &cast, row, persona, expected, number).await;
        }
    }
}

async fn check(app: &TestApp, cast: &Cast, row: &Row, persona: Persona, expected: &str, number: usize) {
    let path = path_of(app, row.path).await;
    let body = body_of(app, row.body, number, persona).await;
    let lines = cast.authorization(&app.core, persona).await;
    let audited = app.audit_events().await;
    let mut call = app.call(row.method, &path);
    for line in lines {
        call = call.header("authorization", &line);
    }
    if !body.is_empty() {
        call = call.header("content-type", "application/json").body(body);
    }
    let answer = call.send().await;
    let what = format!("{persona:?}: {} {path}: {answer:?}", row.method);
    assert_eq!(answer.verdict(), expected, "{what}");

    let challenge = answer.header("www-authenticate");
    match expected {
        "401" | NOBODY | LACKS => {
            let challenge = challenge.unwrap_or_else(|| panic!("{what}"));
            assert!(challenge.starts_with(r#"Bearer realm="cryptopay""#), "{what}");
            // RFC 6750 §3.1: no error code for whoever presents no credential.
            let presented_none = matches!(persona, Persona::Anonymous | Persona::BasicScheme);
            assert_eq!(challenge.contains("error="), !presented_none, "{what}");
            assert_eq!(app.audit_events().await, audited, "something happened before the refusal: {what}");
        }
        _ => assert_eq!(challenge, None, "{what}"),
    }
    if expected == NOBODY && persona != Persona::ProductionKey {
        let message = &answer.json()["error"]["message"];
        assert_eq!(message, "The provided token is invalid or expired", "{what}");
    }
}

/// The path with the identifiers of objects of Alice's, fresh where there may be many.
async fn path_of(app: &TestApp, path: &str) -> String {
    if !path.contains("{id}") {
        return path.replace("{path}", "some/where//else");
    }
    let alice = app.core.login("alice").await;
    let alice = app.core.auth.authenticate(alice.access.expose()).await.unwrap();
    if path.contains("/webhooks/") {
        let endpoint = webhook_endpoint(app, &alice).await;
        let delivery = app.payments.send_test(&alice, endpoint).await.unwrap().id;
        return path.replace("{id}", &endpoint.to_string()).replace("{delivery}", &delivery.to_string());
    }
    let id = if path.contains("/sessions/") {
        alice.credential.id()
    } else if path.contains("/payment-orders/") {
        payment_order(app, &alice).await.to_string()
    } else if path.ends_with("/usage") {
        // One that is there already, since there may only be so many.
        let keys = app.core.auth.list_api_keys(&alice, everything()).await.unwrap().items;
        keys.iter().find(|key| key.parent.is_none()).unwrap().id.to_string()
    } else {
        app.core.api_key(&alice, &[Permission::Read], None).await.details.id.to_string()
    };
    path.replace("{id}", &id)
}

async fn body_of(app: &TestApp, body: &str, number: usize, persona: Persona) -> String {
    let letters = format!("{persona:?}").replace(|letter: char| !letter.is_ascii_alphanumeric(), "");
    let body = body.replace("{n}", &format!("{number}{letters}")).replace("{password}", PASSWORD);
    if !body.contains("{refresh}") {
        return body;
    }
    let refresh = app.core.login("bob").await.refresh;
    body.replace("{refresh}", refresh.expose())
}
