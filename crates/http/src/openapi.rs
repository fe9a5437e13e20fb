//! The OpenAPI 3.1 document, made from the code.
//!
//! Each handler describes its body and its success; authority and errors come from the table of routes,
//! with the errors' own JSON as examples. So the document cannot say what the code does not do.

use std::sync::OnceLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, PathItem, Ref, RefOr};

use crate::error::ErrorBody;
use crate::event::{PaymentOrderEvent, WebhookTestEvent};
use crate::operation_document::complete;
use crate::route::Verb;
use crate::routes::ROUTES;
use crate::webhook_document::webhooks;
use crate::{
    api_key, api_key_usage, delivery, health, login, paseto_keys, password, payment_order, profile, register,
    sandbox_error, session, token, verify, webhook_endpoint,
};

/// The name of the security scheme.
pub(crate) const BEARER: &str = "bearer";
/// The name of the parameter that every operation refers to.
pub(crate) const SANDBOX_ERROR: &str = "SandboxError";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "CryptoPay Auth",
        description = "Accounts, tokens, API keys and permissions. Every path is answered with and without \
                       its trailing slash. Every answer carries `X-Request-Id`; a caller's own is kept.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        verify::verify, verify::verify_ext,
        register::register, login::login, token::refresh,
        session::logout, session::list, session::end, session::end_others,
        profile::get, profile::change, password::change,
        api_key::list, api_key::create, api_key::get, api_key::change, api_key::revoke, api_key::rotate,
        api_key_usage::get,
        payment_order::list, payment_order::create, payment_order::get, payment_order::simulate,
        webhook_endpoint::list, webhook_endpoint::create, webhook_endpoint::get, webhook_endpoint::change,
        webhook_endpoint::delete, webhook_endpoint::rotate_secret,
        delivery::send_test, delivery::list, delivery::resend, delivery::diagnose,
        paseto_keys::list,
        health::live, health::ready, get,
    ),
    components(schemas(ErrorBody, PaymentOrderEvent, WebhookTestEvent)),
    tags(
        (name = "account", description = "A merchant's account. Changed by a login only."),
        (name = "session", description = "Logging in and staying so."),
        (name = "API keys", description = "Credentials for programs."),
        (name = "verification", description = "Asking about a credential."),
        (name = "payment orders", description = "What merchants are paid for."),
        (name = "webhooks", description = "Telling merchants what happened."),
        (name = "operation", description = "For whoever runs the server."),
    ),
)]
struct Described;

/// The document, as JSON.
#[must_use]
pub fn openapi_document() -> String {
    // The document is plain data; it always serialises.
    document().to_pretty_json().unwrap_or_default()
}

/// Shows this document
#[utoipa::path(
    get, path = "/api/openapi.json", operation_id = "openapi", tag = "operation",
    responses((status = 200, description = "The OpenAPI 3.1 document.", content_type = "application/json", body = Object)),
)]
pub(crate) async fn get() -> HttpResponse {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .content_type("application/json")
        .body(DOCUMENT.get_or_init(openapi_document).as_str())
}

fn document() -> utoipa::openapi::OpenApi {
    let mut document = Described::openapi();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token or an API key. A login has every permission."))
        .build();
    let components = document.components.get_or_insert_with(Components::default);
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    components.parameters.insert(SANDBOX_ERROR.to_owned(), RefOr::T(sandbox_error_parameter()));
    document.webhooks = Some(webhooks());
    for row in ROUTES {
        let Some(item) = document.paths.paths.get_mut(row.path) else { continue };
        for (method, operation) in operations(item) {
            match row.verb {
                Verb::Any => {
                    // One handler, but an identifier names one operation.
                    let id = operation.operation_id.take().unwrap_or_default();
                    operation.operation_id = Some(format!("{id}{method}"));
                    complete(row, operation);
                }
                verb if verb.as_str().eq_ignore_ascii_case(method) => complete(row, operation),
                _ => {}
            }
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("Get", &mut item.get),
        ("Put", &mut item.put),
        ("Post", &mut item.post),
        ("Delete", &mut item.delete),
        ("Options", &mut item.options),
        ("Head", &mut item.head),
        ("Patch", &mut item.patch),
        ("Trace", &mut item.trace),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The header that any operation may be sent.
fn sandbox_error_parameter() -> Parameter {
    ParameterBuilder::new()
        .name(sandbox_error::NAME)
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "In the sandbox, with a valid credential: the answer is this error, with its status, headers and \
             body, and nothing is carried out. Production ignores it.",
        ))
        .schema(Some(Ref::from_schema_name("ErrorCode")))
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cryptopay_domain::EventType;
    use serde_json::Value;

    use super::*;
    use crate::authority::Authority;
    use crate::operation_document::authority_name;
    use crate::route::BodyRule;

    fn json() -> Value {
        serde_json::from_str(&openapi_document()).unwrap()
    }

    #[test]
    fn every_route_is_described_with_its_authority_and_no_other_is() {
        let document = json();
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                described.insert((method.to_ascii_uppercase(), path.clone()));
            }
        }
        for row in ROUTES {
            let item = document["paths"][row.path].as_object().unwrap();
            let rows: Vec<_> = item
                .iter()
                .filter(|(method, _)| row.verb == Verb::Any || method.eq_ignore_ascii_case(row.verb.as_str()))
                .collect();
            assert!(!rows.is_empty(), "{} {}", row.verb.as_str(), row.path);
            for (method, operation) in rows {
                described.remove(&(method.to_ascii_uppercase(), row.path.to_owned()));
                assert_eq!(operation["x-authority"], authority_name(row.authority), "{}", row.path);
                let permission = match row.authority {
                    Authority::Permission(permission) => Value::from(permission.as_str()),
                    _ => Value::Null,
                };
                assert_eq!(operation["x-required-permission"], permission, "{}", row.path);
                let is_protected = operation["security"].as_array().is_some_and(|list| !list.is_empty());
                assert_eq!(is_protected, row.authority.is_protected(), "{}", row.path);
                let parameters: Vec<_> = operation["parameters"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|parameter| parameter["in"] == "query")
                    .map(|parameter| parameter["name"].as_str().unwrap())
                    .collect();
                assert_eq!(parameters, row.query.names(), "{}", row.path);
                let takes_body = matches!(row.body, BodyRule::Required | BodyRule::Optional);
                assert!(takes_body || operation.get("requestBody").is_none(), "{}", row.path);
                assert!(row.body != BodyRule::Required || operation.get("requestBody").is_some());
            }
        }
        assert_eq!(described, BTreeSet::new(), "described, but not in the table");
    }

    #[test]
    fn every_operation_that_is_limited_says_so() {
        let document = json();
        for row in ROUTES {
            for operation in document["paths"][row.path].as_object().unwrap().values() {
                let is_limited = row.path != "/healthz";
                assert_eq!(operation["responses"].get("429").is_some(), is_limited, "{}", row.path);
                for (status, response) in operation["responses"].as_object().unwrap() {
                    for name in ["RateLimit", "RateLimit-Policy"] {
                        let is_told = response["headers"].get(name).is_some();
                        assert_eq!(is_told, is_limited, "{} {status} {name}", row.path);
                    }
                }
            }
        }
    }

    #[test]
    fn operations_are_named_once_each() {
        let document = json();
        let items = document["paths"].as_object().unwrap().values();
        let names: Vec<_> = items
            .flat_map(|item| item.as_object().unwrap().values())
            .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, document: &Value) {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
            }
            match value {
                Value::Object(map) => map.values().for_each(|value| walk(value, document)),
                Value::Array(list) => list.iter().for_each(|value| walk(value, document)),
                _ => {}
            }
        }
        let document = json();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        walk(&document, &document);
    }

    #[test]
    fn request_bodies_are_strict() {
        let document = json();
        for name in [
            "RegisterRequest",
            "LoginRequest",
            "RefreshRequest",
            "ProfileChangeRequest",
            "PasswordChangeRequest",
            "ApiKeyCreation",
            "ApiKeyChangeRequest",
            "ApiKeyRotation",
            "PaymentOrderCreation",
            "SimulationRequest",
            "WebhookEndpointCreation",
            "WebhookEndpointChange",
            "SecretRotation",
            "DiagnosisRequest",
        ] {
            let schema = &document["components"]["schemas"][name];
            assert_eq!(schema["additionalProperties"], false, "{name}: {schema}");
        }
        for name in ["ApiKeyChangeRequest", "WebhookEndpointChange"] {
            let change = &document["components"]["schemas"][name];
            assert_eq!((change.get("required"), &change["minProperties"]), (None, &Value::from(1)), "{name}");
        }
    }

    #[test]
    fn every_event_type_is_a_documented_webhook() {
        let document = json();
        let webhooks = document["webhooks"].as_object().unwrap();
        let documented: BTreeSet<_> = webhooks.keys().map(String::as_str).collect();
        assert_eq!(documented, EventType::ALL.into_iter().map(EventType::as_str).collect());
        for (name, webhook) in webhooks {
            let schema = &webhook["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let event = document.pointer(&schema.as_str().unwrap()[1..]).unwrap();
            let fields: BTreeSet<_> = event["properties"].as_object().unwrap().keys().collect();
            assert_eq!(
                fields.into_iter().collect::<Vec<_>>(),
                ["created_at", "data", "id", "type"],
                "{name}"
            );
            let headers = webhook["post"]["parameters"].as_array().unwrap();
            assert_eq!(headers.len(), 4, "{name}");
        }
    }

    #[test]
    fn the_error_on_purpose_is_described_once_and_every_operation_refers_to_it() {
        let document = json();
        let parameter = &document["components"]["parameters"]["SandboxError"];
        assert_eq!((&parameter["name"], &parameter["in"]), (&"X-Sandbox-Error".into(), &"header".into()));
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let references: Vec<_> = operation["parameters"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(|parameter| parameter["$ref"].as_str())
                    .collect();
                assert_eq!(references, ["#/components/parameters/SandboxError"], "{operation}");
            }
        }
    }
}
