//! The OpenAPI 3.1 document, made from the code.
//!
//! Each handler describes its body and its success; authority and errors come from the table of routes,
//! with the errors' own JSON as examples. So the document cannot say what the code does not do.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use cryptopay_domain::Permission;
use utoipa::OpenApi;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Header, PathItem, Ref, RefOr, Required, ResponseBuilder,
    example::ExampleBuilder,
};

use crate::authority::Authority;
use crate::error::{ApiError, Challenge, ErrorBody, ErrorCode};
use crate::routes::{BodyRule, ROUTES, RouteRow, Verb};
use crate::{
    api_key, health, login, paseto_keys, password, payment_order, profile, register, session, token, verify,
};

/// The name of the security scheme.
const BEARER: &str = "bearer";

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
        payment_order::list, paseto_keys::list,
        health::live, health::ready, get,
    ),
    components(schemas(ErrorBody)),
    tags(
        (name = "account", description = "A merchant's account. Changed by a login only."),
        (name = "session", description = "Logging in and staying so."),
        (name = "API keys", description = "Credentials for programs."),
        (name = "verification", description = "Asking about a credential."),
        (name = "payment orders", description = "What merchants are paid for."),
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
    document
        .components
        .get_or_insert_with(Components::default)
        .add_security_scheme(BEARER, SecurityScheme::Http(scheme));
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
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Adds to an operation what its row says.
fn complete(row: &RouteRow, operation: &mut Operation) {
    let opens = match row.authority {
        Authority::Anyone => "**Open to** anyone.".to_owned(),
        Authority::AnyCredential => "**Open to** any valid credential.".to_owned(),
        Authority::Login => "**Open to** a login (access token); never to an API key.".to_owned(),
        Authority::Permission(permission) => {
            format!("**Open to** credentials with the permission `{permission}`.")
        }
    };
    let description = operation.description.take().filter(|text| !text.is_empty());
    operation.description = Some(match description {
        Some(description) => format!("{description}\n\n{opens}"),
        None => opens,
    });
    operation.security = Some(if row.authority.is_protected() {
        vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]
    } else {
        vec![]
    });
    let mut extensions = ExtensionsBuilder::new().add("x-authority", authority_name(row.authority));
    if let Authority::Permission(permission) = row.authority {
        extensions = extensions.add("x-required-permission", permission.as_str());
    }
    operation.extensions.get_or_insert_default().merge(extensions.build());

    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.required = Some(if row.body == BodyRule::Required { Required::True } else { Required::False });
    }

    let mut by_status = BTreeMap::<u16, Vec<ApiError>>::new();
    for code in codes(row) {
        by_status.entry(code.status().as_u16()).or_default().push(sample(code, row));
    }
    for (status, errors) in by_status {
        operation.responses.responses.insert(status.to_string(), RefOr::T(error_response(&errors)));
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let id = text_header("The request's id: the caller's own if it sent an acceptable one.");
            response.headers.insert("X-Request-Id".to_owned(), RefOr::T(id));
        }
    }
}

/// How the document writes an authority down for programs.
fn authority_name(authority: Authority) -> &'static str {
    match authority {
        Authority::Anyone => "anyone",
        Authority::AnyCredential => "any-credential",
        Authority::Login => "login",
        Authority::Permission(_) => "permission",
    }
}

/// Every error a route can answer.
fn codes(row: &RouteRow) -> Vec<ErrorCode> {
    let mut codes = row.errors.to_vec();
    codes.push(ErrorCode::InternalError);
    if row.authority.is_protected() {
        codes.extend([ErrorCode::InvalidToken, ErrorCode::Overloaded]);
    }
    if matches!(row.authority, Authority::Login | Authority::Permission(_)) {
        codes.push(ErrorCode::InsufficientPermissions);
    }
    if row.body != BodyRule::Ignored {
        codes.extend([
            ErrorCode::InvalidJson,
            ErrorCode::ValidationError,
            ErrorCode::PayloadTooLarge,
            ErrorCode::UnsupportedMediaType,
        ]);
    } else if !row.query.names().is_empty() {
        codes.push(ErrorCode::ValidationError);
    }
    codes.sort();
    codes.dedup();
    codes
}

/// The error as the route would answer it.
fn sample(code: ErrorCode, row: &RouteRow) -> ApiError {
    let retry_after = Duration::from_secs(match code {
        ErrorCode::RateLimited => 60,
        _ => 1,
    });
    match code {
        ErrorCode::InvalidJson => {
            ApiError::InvalidJson("The body is not valid JSON: see line 1, column 17.".into())
        }
        ErrorCode::ValidationError => match row.query.names().first() {
            Some(name) => ApiError::field(name, "is given more than once"),
            None => ApiError::field("unknown", "is unknown"),
        },
        ErrorCode::InvalidToken if row.authority.is_protected() => {
            ApiError::Unauthenticated(Challenge::Invalid)
        }
        ErrorCode::InvalidToken => ApiError::RefreshTokenRefused,
        ErrorCode::InvalidCredentials => ApiError::InvalidCredentials,
        ErrorCode::InsufficientPermissions => match row.authority {
            Authority::Login => ApiError::LoginRequired,
            Authority::Permission(permission) => ApiError::InsufficientPermissions(permission),
            _ => ApiError::InsufficientPermissions(Permission::CreatePayments),
        },
        ErrorCode::NotFound => ApiError::NotFound,
        ErrorCode::MethodNotAllowed => ApiError::MethodNotAllowed(row.verb.as_str().into()),
        ErrorCode::UsernameTaken => ApiError::UsernameTaken,
        ErrorCode::EmailTaken => ApiError::EmailTaken,
        ErrorCode::Conflict => ApiError::Conflict("The key's state forbids it."),
        ErrorCode::PayloadTooLarge => ApiError::PayloadTooLarge,
        ErrorCode::UnsupportedMediaType => ApiError::UnsupportedMediaType,
        ErrorCode::RateLimited => ApiError::RateLimited { retry_after },
        ErrorCode::InternalError => ApiError::Internal,
        ErrorCode::Overloaded => ApiError::Overloaded { retry_after },
    }
}

/// The response of one status, with an example for each of its errors.
fn error_response(errors: &[ApiError]) -> Response {
    let examples = errors.iter().map(|error| {
        let value = serde_json::to_value(error.to_body()).ok();
        (error.code().as_str(), RefOr::T(ExampleBuilder::new().value(value).build()))
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Error")))
        .examples_from_iter(examples)
        .build();
    let codes = errors.iter().map(|error| format!("`{}`", error.code().as_str())).collect::<Vec<_>>();
    let mut response =
        ResponseBuilder::new().description(codes.join(" or ")).content("application/json", content);
    if errors.iter().any(|error| error.to_body().has_retry_after()) {
        response = response.header("Retry-After", text_header("Seconds until trying again makes sense."));
    }
    if errors.iter().any(ApiError::is_challenge) {
        response = response.header("WWW-Authenticate", text_header("The challenge of RFC 6750."));
    }
    response.build()
}

fn text_header(description: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

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
        ] {
            let schema = &document["components"]["schemas"][name];
            assert_eq!(schema["additionalProperties"], false, "{name}: {schema}");
        }
        let change = &document["components"]["schemas"]["ApiKeyChangeRequest"];
        assert_eq!((change.get("required"), &change["minProperties"]), (None, &Value::from(1)));
    }
}
