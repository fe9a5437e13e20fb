//! `X-Sandbox-Error`: in the sandbox, whoever has a valid credential meets any documented error on purpose.
//!
//! It is settled right behind the credential, before permission, body and object are looked at: nothing of
//! the request is carried out. Production does not know the header.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use cryptopay_domain::Environment;

use crate::error::ApiError;
use crate::error_code::ErrorCode;
use crate::error_example;
use crate::fields::quoted;
use crate::route::RouteRow;

/// The header, as the document and its errors write it.
pub(crate) const NAME: &str = "X-Sandbox-Error";
const HEADER: HeaderName = HeaderName::from_static("x-sandbox-error");

/// Whether a request asks a server of `environment` for an error.
pub(crate) fn is_asked(environment: Environment, headers: &HeaderMap) -> bool {
    environment == Environment::Sandbox && headers.contains_key(HEADER)
}

/// The error that a request to the route `row` asks for; one that asks for none that exists is told so.
pub(crate) fn asked(environment: Environment, headers: &HeaderMap, row: &RouteRow) -> Option<ApiError> {
    if !is_asked(environment, headers) {
        return None;
    }
    let mut values = headers.get_all(HEADER);
    let (first, second) = (values.next()?, values.next());
    Some(match (code(first), second) {
        (_, Some(_)) => ApiError::field(NAME, "is given more than once"),
        (Some(code), None) => error_example::of(code, row),
        (None, None) => ApiError::field(NAME, unknown(first)),
    })
}

/// Codes are compared as they are written: a program that cannot spell one would not recognise it either.
fn code(value: &HeaderValue) -> Option<ErrorCode> {
    ErrorCode::ALL.into_iter().find(|code| value.as_bytes() == code.as_str().as_bytes())
}

fn unknown(value: &HeaderValue) -> String {
    let codes = ErrorCode::ALL.map(ErrorCode::as_str).join(", ");
    format!("{} is no error code; it takes {codes}", quoted(&String::from_utf8_lossy(value.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::ROUTES;

    fn asked_by(environment: Environment, values: &[&str]) -> Option<ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        asked(environment, &headers, &ROUTES[0])
    }

    #[test]
    fn each_code_is_answered_with_its_error() {
        for code in ErrorCode::ALL {
            let error = asked_by(Environment::Sandbox, &[code.as_str()]).unwrap();
            assert_eq!(error, error_example::of(code, &ROUTES[0]));
        }
        assert_eq!(asked_by(Environment::Sandbox, &[]), None);
    }

    #[test]
    fn what_is_no_code_is_told_which_there_are() {
        for value in ["", "conflict", "409", "CONFLICT, CONFLICT", "TEAPOT", "\u{e4}"] {
            let Some(ApiError::Validation(problems)) = asked_by(Environment::Sandbox, &[value]) else {
                panic!("{value}")
            };
            let problems = serde_json::to_value(problems).unwrap();
            let problem = problems[NAME][0].as_str().unwrap();
            assert!(problem.starts_with(&format!("'{value}' is no error code")), "{problem}");
            assert!(ErrorCode::ALL.iter().all(|code| problem.contains(code.as_str())), "{problem}");
        }
        let twice = asked_by(Environment::Sandbox, &["CONFLICT", "CONFLICT"]);
        assert_eq!(twice, Some(ApiError::field(NAME, "is given more than once")));
    }

    #[test]
    fn production_does_not_know_the_header() {
        for value in ["CONFLICT", "nonsense"] {
            assert_eq!(asked_by(Environment::Production, &[value]), None);
        }
    }
}
