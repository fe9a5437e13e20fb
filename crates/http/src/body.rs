//! Request bodies: read whole and bounded before a handler runs, taken apart by the handler's type.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use zeroize::Zeroizing;

use crate::error::ApiError;
use crate::fields::{FieldProblems, Fields, FromFields};
use crate::json_object;
use crate::request_facts::RequestFacts;

/// The most a body may hold: 64 KiB.
pub const MAX_BODY: usize = 64 * 1024;
/// How long a body may be on its way.
const MAX_TRANSFER: Duration = Duration::from_secs(30);

/// A body as it came, never empty. It may hold passwords, so it is cleared after use.
pub(crate) struct BodyBytes(pub(crate) Zeroizing<Vec<u8>>);

/// A request's body, read as `T`: `INVALID_JSON` comes first, then every problem with fields and query
/// parameters at once. An absent body is read as an object without fields.
pub(crate) struct Submitted<T>(pub(crate) T);

/// Reads the body to its end; `None` when it is empty.
///
/// # Errors
/// In the contract's order: [`ApiError::PayloadTooLarge`], [`ApiError::UnsupportedMediaType`]; and
/// [`ApiError::InvalidJson`] for a body that breaks off.
pub(crate) async fn read(headers: &HeaderMap, payload: &mut Payload) -> Result<Option<BodyBytes>, ApiError> {
    let bytes = read_bytes(headers, payload).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !is_plain_json(headers) {
        return Err(ApiError::UnsupportedMediaType);
    }
    Ok(Some(BodyBytes(bytes)))
}

/// Reads a body of whatever type to its end.
///
/// # Errors
/// [`ApiError::PayloadTooLarge`]; [`ApiError::InvalidJson`] for a body that breaks off.
pub(crate) async fn read_bytes(
    headers: &HeaderMap,
    payload: &mut Payload,
) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let announced = content_length(headers);
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(ApiError::PayloadTooLarge);
    }
    // Room from the start: growing would leave copies of secrets behind in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(MAX_BODY)));
    let collecting = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| broken_off())?;
            if bytes.len() + chunk.len() > MAX_BODY {
                return Err(ApiError::PayloadTooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(())
    };
    tokio::time::timeout(MAX_TRANSFER, collecting).await.map_err(|_| broken_off())??;
    Ok(bytes)
}

/// What `Content-Length` announces.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// Takes from a request the body that its gate read, and what is wrong with its query.
pub(crate) fn take(request: &HttpRequest) -> (Option<BodyBytes>, FieldProblems) {
    let mut extensions = request.extensions_mut();
    let body = extensions.remove::<BodyBytes>();
    let facts = extensions.get_mut::<RequestFacts>();
    (body, facts.map(|facts| std::mem::take(&mut facts.query_problems)).unwrap_or_default())
}

/// Reads a body as `T`, on top of `problems` with the query.
pub(crate) fn parse<T: FromFields>(body: Option<&BodyBytes>, problems: FieldProblems) -> Result<T, ApiError> {
    let given = match body {
        Some(BodyBytes(bytes)) => json_object::parse(bytes).map_err(ApiError::InvalidJson)?,
        None => Vec::new(),
    };
    Fields::read(given, problems).map_err(ApiError::Validation)
}

impl BodyBytes {
    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

impl<T: FromFields> FromRequest for Submitted<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (body, problems) = take(request);
        ready(parse(body.as_ref(), problems).map(Self))
    }
}

/// `application/json` with whatever parameters, and nothing wrapped around it.
fn is_plain_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE);
    let declared = match (types.next(), types.next()) {
        (Some(only), None) => only.to_str().unwrap_or_default(),
        _ => return false,
    };
    let essence = declared.split(';').next().unwrap_or_default().trim();
    let identity = |value: &header::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    essence.eq_ignore_ascii_case("application/json")
        && headers.get_all(header::CONTENT_ENCODING).all(identity)
}

fn broken_off() -> ApiError {
    ApiError::InvalidJson("The body broke off before its end.".into())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::fields::{NoFields, secret, string, text};

    #[derive(Debug, PartialEq)]
    struct Sample {
        name: String,
        size: Option<u8>,
        end: Option<String>,
    }

    impl FromFields for Sample {
        fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
            let name = fields.required("name", string);
            let size =
                fields.optional("size", text(|text| text.parse::<u8>().map_err(|_| "must be a digit")));
            let end = fields.nullable("end", string);
            Some(Self { name: name?, size: size?, end: end? })
        }
    }

    fn read_sample(json: &str) -> Result<Sample, ApiError> {
        parse(Some(&BodyBytes::of(json)), FieldProblems::default())
    }

    fn problems(json: &str) -> serde_json::Value {
        match read_sample(json) {
            Err(ApiError::Validation(problems)) => serde_json::to_value(problems).unwrap(),
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn good_bodies_are_read() {
        let sample =
            |size, end: Option<&str>| Sample { name: "n".to_owned(), size, end: end.map(str::to_owned) };
        for (json, expected) in [
            (r#"{"name": "n"}"#, sample(None, None)),
            (r#"{"name": "n", "end": null}"#, sample(None, None)),
            (r#"{"end": "e", "size": "7", "name": "\u006e"}"#, sample(Some(7), Some("e"))),
        ] {
            assert_eq!(read_sample(json), Ok(expected), "{json}");
        }
    }

    #[test]
    fn every_problem_is_told_under_its_field() {
        let unknown = "is unknown; this route takes name, size, end";
        for (json, expected) in [
            ("{}", serde_json::json!({"name": ["is required"]})),
            (r#"{"name": null}"#, serde_json::json!({"name": ["must not be null"]})),
            (r#"{"name": 1e999}"#, serde_json::json!({"name": ["must be a string"]})),
            (r#"{"name": {"a": [1]}}"#, serde_json::json!({"name": ["must be a string"]})),
            (r#"{"name": "n", "name": "n"}"#, serde_json::json!({"name": ["is given more than once"]})),
            (r#"{"name": "n", "n\u0061me": "n"}"#, serde_json::json!({"name": ["is given more than once"]})),
            (r#"{"name": "n", "size": null}"#, serde_json::json!({"size": ["must not be null"]})),
            (r#"{"name": "n", "size": "x"}"#, serde_json::json!({"size": ["must be a digit"]})),
            (r#"{"name": "n", "end": 5}"#, serde_json::json!({"end": ["must be a string"]})),
            (r#"{"name": "n", "Name": "n"}"#, serde_json::json!({"Name": [unknown]})),
            (r#"{"name": "n", "": 1, "": 2}"#, serde_json::json!({"": [unknown]})),
            (
                r#"{"size": 3, "end": false, "expire_at": "x"}"#,
                serde_json::json!({
                    "name": ["is required"], "size": ["must be a string"],
                    "end": ["must be a string"], "expire_at": [unknown]}),
            ),
        ] {
            assert_eq!(problems(json), expected, "{json}");
        }
    }

    #[test]
    fn problems_with_the_query_and_the_body_are_told_together() {
        let mut query = FieldProblems::default();
        query.add("x", "is unknown");
        let body = BodyBytes::of("{}");
        let Err(ApiError::Validation(problems)) = parse::<Sample>(Some(&body), query) else { panic!() };
        assert_eq!(problems.names().collect::<Vec<_>>(), ["name", "x"]);
    }

    #[test]
    fn an_answer_does_not_grow_with_the_nonsense_it_answers() {
        let many = (0..5000).map(|n| format!(r#""f{n}": 1"#)).collect::<Vec<_>>().join(",");
        let body = BodyBytes::of(&format!("{{{many}}}"));
        let Err(ApiError::Validation(problems)) = parse::<NoFields>(Some(&body), FieldProblems::default())
        else {
            panic!()
        };
        assert_eq!(problems.names().count(), 32);
    }

    #[test]
    fn a_name_is_told_back_as_far_as_a_person_would_read() {
        let name = "\u{e4}".repeat(10_000);
        let problems = problems(&format!(r#"{{"name": "n", "{name}": 1}}"#));
        assert_eq!(problems.as_object().unwrap().keys().next().unwrap().chars().count(), 65);
    }

    #[test]
    fn a_secret_is_read_and_never_shown() {
        let raw = serde_json::value::RawValue::from_string(r#""hunter2""#.to_owned()).unwrap();
        assert!(!format!("{:?}", secret(&raw).unwrap()).contains("hunter2"));
    }

    async fn read_body(request: TestRequest) -> Result<Option<usize>, ApiError> {
        let (request, mut payload) = request.to_http_parts();
        let body = read(request.headers(), &mut payload).await?;
        Ok(body.map(|BodyBytes(bytes)| bytes.len()))
    }

    fn post() -> TestRequest {
        TestRequest::post()
    }

    #[actix_web::test]
    async fn content_types_are_judged_by_their_essence() {
        for (content_type, good) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json ;charset=utf-8", true),
            ("application/jsonx", false),
            ("application/problem+json", false),
            ("text/plain", false),
            ("", false),
        ] {
            let body =
                read_body(post().insert_header(("content-type", content_type)).set_payload("{}")).await;
            assert_eq!(
                body,
                if good { Ok(Some(2)) } else { Err(ApiError::UnsupportedMediaType) },
                "{content_type}"
            );
        }
        assert_eq!(read_body(post().set_payload("{}")).await, Err(ApiError::UnsupportedMediaType));
        let twice = post().append_header(("content-type", "application/json"));
        let twice = twice.append_header(("content-type", "application/json")).set_payload("{}");
        assert_eq!(read_body(twice).await, Err(ApiError::UnsupportedMediaType));
        let packed = post().insert_header(("content-type", "application/json"));
        let packed = packed.insert_header(("content-encoding", "gzip")).set_payload("{}");
        assert_eq!(read_body(packed).await, Err(ApiError::UnsupportedMediaType));
    }

    #[actix_web::test]
    async fn an_empty_body_needs_no_content_type_and_any_does() {
        assert_eq!(read_body(post()).await, Ok(None));
        assert_eq!(read_body(post().insert_header(("content-type", "text/plain"))).await, Ok(None));
    }

    #[actix_web::test]
    async fn size_is_judged_before_the_content_type() {
        let json = |size: usize| {
            post().insert_header(("content-type", "application/json")).set_payload(vec![b' '; size])
        };
        assert_eq!(read_body(json(MAX_BODY)).await, Ok(Some(MAX_BODY)));
        assert_eq!(read_body(json(MAX_BODY + 1)).await, Err(ApiError::PayloadTooLarge));
        let plain = post().set_payload(vec![b' '; MAX_BODY + 1]);
        assert_eq!(read_body(plain).await, Err(ApiError::PayloadTooLarge));
        let announced = post().insert_header(("content-length", "999999999999"));
        assert_eq!(read_body(announced).await, Err(ApiError::PayloadTooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_dribbles_is_given_up_after_half_a_minute() {
        let dribbling = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            Some((Ok(actix_web::web::Bytes::from_static(b" ")), ()))
        });
        let dribbling: actix_http::BoxedPayloadStream = Box::pin(dribbling);
        let mut payload = Payload::from(dribbling);
        let request = TestRequest::post().insert_header(("content-type", "application/json"));
        let began = tokio::time::Instant::now();
        let body = read(request.to_http_request().headers(), &mut payload).await;
        assert!(matches!(body, Err(ApiError::InvalidJson(_))));
        assert_eq!(began.elapsed(), MAX_TRANSFER);
    }
}
