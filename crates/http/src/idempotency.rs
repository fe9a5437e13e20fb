//! `Idempotency-Key`: a request that is repeated under its key is carried out once.
//!
//! Two requests are the same when their bodies are the same JSON values: the order of members, blanks and
//! the spelling of characters mean nothing.

use std::collections::BTreeMap;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{FromRequest, HttpRequest};
use cryptopay_domain::IdempotencyKey;
use cryptopay_payments::Idempotency;
use ring::digest::{Context, SHA256};
use serde_json::Value;

use crate::body::{self, BodyBytes};
use crate::error::ApiError;
use crate::fields::FromFields;

/// The header, as the document and its errors write it.
pub(crate) const NAME: &str = "Idempotency-Key";
const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// A request's body, read as `T` like [`body::Submitted`], and the key under which it may be repeated.
pub(crate) struct Repeatable<T> {
    pub(crate) submitted: T,
    pub(crate) idempotency: Option<Idempotency>,
}

impl<T: FromFields> FromRequest for Repeatable<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request))
    }
}

fn read<T: FromFields>(request: &HttpRequest) -> Result<Repeatable<T>, ApiError> {
    let (body, mut problems) = body::take(request);
    let key = key(request.headers()).map_err(|problem| problems.add(NAME, problem)).unwrap_or_default();
    let submitted = body::parse(body.as_ref(), problems)?;
    let idempotency = match key {
        Some(key) => Some(Idempotency { key, fingerprint: fingerprint(body.as_ref())? }),
        None => None,
    };
    Ok(Repeatable { submitted, idempotency })
}

fn key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, String> {
    let mut values = headers.get_all(HEADER);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err("is given more than once".to_owned()),
        (Some(only), None) => {
            // What is no text is no printable ASCII either.
            let key = IdempotencyKey::parse(&String::from_utf8_lossy(only.as_bytes()));
            key.map(Some).map_err(|problem| problem.to_string())
        }
    }
}

/// SHA-256 over the values of a body that has been read.
fn fingerprint(body: Option<&BodyBytes>) -> Result<[u8; 32], ApiError> {
    let value = match body {
        Some(body) => serde_json::from_slice(body.as_slice()).map_err(|_| ApiError::Internal)?,
        None => Value::Object(serde_json::Map::new()),
    };
    let mut context = Context::new(&SHA256);
    digest(&value, &mut context);
    context.finish().as_ref().try_into().map_err(|_| ApiError::Internal)
}

/// Writes a value as JSON in its one form.
fn digest(value: &Value, context: &mut Context) {
    match value {
        Value::Object(members) => {
            context.update(b"{");
            for (name, member) in members.iter().collect::<BTreeMap<_, _>>() {
                digest(&Value::String(name.clone()), context);
                context.update(b":");
                digest(member, context);
                context.update(b",");
            }
            context.update(b"}");
        }
        Value::Array(items) => {
            context.update(b"[");
            for item in items {
                digest(item, context);
                context.update(b",");
            }
            context.update(b"]");
        }
        scalar => context.update(scalar.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::HttpMessage;
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::fields::{Fields, string};

    fn key_of(values: &[&str]) -> Result<Option<String>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        key(&headers).map(|key| key.map(|key| key.as_str().to_owned()))
    }

    #[test]
    fn a_key_is_one_header_of_printable_ascii() {
        let longest = "x".repeat(255);
        assert_eq!(key_of(&[]), Ok(None));
        for good in ["1", "a b", "{order: 7}~", &longest] {
            assert_eq!(key_of(&[good]), Ok(Some(good.to_owned())));
        }
        for bad in ["", "\u{e4}", "tab\there", &format!("{longest}x")] {
            assert!(key_of(&[bad]).is_err(), "{bad}");
        }
        assert_eq!(key_of(&["a", "a"]).unwrap_err(), "is given more than once");
    }

    #[derive(Debug, PartialEq)]
    struct Anything;

    impl FromFields for Anything {
        fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
            let text = fields.nullable("a", string);
            let members = fields.nullable("b", |_| Ok(()));
            text.and(members).map(|_| Self)
        }
    }

    fn repeatable(key: &str, body: &str) -> Result<Option<[u8; 32]>, ApiError> {
        let request = TestRequest::default().insert_header((HEADER, key)).to_http_request();
        request.extensions_mut().insert(BodyBytes::of(body));
        read::<Anything>(&request).map(|read| read.idempotency.map(|given| given.fingerprint))
    }

    #[test]
    fn the_same_values_are_the_same_request_however_they_are_written() {
        let first = repeatable("k", r#"{"a": "é/", "b": {"x": [1, null], "y": "2"}}"#).unwrap();
        for same in [
            r#"{"b":{"y":"2","x":[1,null]},"a":"\u00e9\/"}"#,
            "\n{\"a\" :\t\"\u{e9}/\", \"\\u0062\": {\"x\": [ 1,null ], \"y\": \"2\"} }",
        ] {
            assert_eq!(repeatable("other", same).unwrap(), first, "{same}");
        }
        for other in [
            r#"{"a": "é/", "b": {"x": [null, 1], "y": "2"}}"#,
            r#"{"a": "é/", "b": {"x": [1, null], "y": 2}}"#,
            r#"{"a": "é/", "b": {"x": [[1, null]], "y": "2"}}"#,
            r#"{"a": "é/ ", "b": {"x": [1, null], "y": "2"}}"#,
            r#"{"b": {"x": [1, null], "y": "2"}}"#,
            r#"{"a": null, "b": {"x": [1, null], "y": "2"}}"#,
            "{}",
        ] {
            assert_ne!(repeatable("k", other).unwrap(), first, "{other}");
        }
    }

    #[test]
    fn a_bad_key_is_told_together_with_bad_fields() {
        let Err(ApiError::Validation(problems)) = repeatable("", r#"{"a": 1, "c": 2}"#) else { panic!() };
        assert_eq!(problems.names().collect::<Vec<_>>(), [NAME, "a", "c"]);
    }
}
