//! What the table of routes says of an operation, in the OpenAPI document: who may use it, and every error
//! with its own JSON as the example.

use std::collections::BTreeMap;

use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    ContentBuilder, Header, Ref, RefOr, Required, ResponseBuilder, example::ExampleBuilder,
};

use crate::authority::Authority;
use crate::error::ApiError;
use crate::error_code::ErrorCode;
use crate::error_example;
use crate::openapi::{BEARER, SANDBOX_ERROR};
use crate::rate_limit::Budget;
use crate::route::{Availability, BodyRule, RouteRow};

/// Adds to an operation what its row says.
pub(crate) fn complete(row: &RouteRow, operation: &mut Operation) {
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
    if row.availability == Availability::SandboxOnly {
        extensions = extensions.add("x-environments", ["sandbox"]);
    }
    operation.extensions.get_or_insert_default().merge(extensions.build());
    let sandbox_error = Ref::new(format!("#/components/parameters/{SANDBOX_ERROR}"));
    operation.parameters.get_or_insert_default().push(RefOr::Ref(sandbox_error));

    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.required = Some(if row.body == BodyRule::Required { Required::True } else { Required::False });
    }

    let mut by_status = BTreeMap::<u16, Vec<ApiError>>::new();
    for code in codes(row) {
        by_status.entry(code.status().as_u16()).or_default().push(error_example::of(code, row));
    }
    for (status, errors) in by_status {
        operation.responses.responses.insert(status.to_string(), RefOr::T(error_response(&errors)));
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let id = text_header("The request's id: the caller's own if it sent an acceptable one.");
            response.headers.insert("X-Request-Id".to_owned(), RefOr::T(id));
            if row.budget != Budget::Unlimited {
                response.headers.extend(rate_limit_headers());
            }
        }
    }
}

/// How the document writes an authority down for programs.
pub(crate) fn authority_name(authority: Authority) -> &'static str {
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
    if row.budget != Budget::Unlimited {
        codes.push(ErrorCode::RateLimited);
    }
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

/// On every answer of a limited route, as long as the server limits anything.
fn rate_limit_headers() -> [(String, RefOr<Header>); 2] {
    [
        (
            "RateLimit",
            "What is left of each limit that the request was counted against, and in how many seconds one more \
             request is let in: `\"address\";r=2999;t=1`.",
        ),
        ("RateLimit-Policy", "Those limits: so many requests in so many seconds, `\"address\";q=3000;w=60`."),
    ]
    .map(|(name, description)| (name.to_owned(), RefOr::T(text_header(description))))
}

fn text_header(description: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}
