//! The ceiling: the fastest server one could hope for. One trivial route of the same framework and allocator,
//! answers of the same size to the byte, and the same kind of access log, through the same logging code.

use std::time::Instant;

use actix_web::dev::Service as _;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context as _, Result};
use cryptopay_http::{ACCESS_LOG_TARGET, JsonLines};
use tracing_subscriber::fmt::format::JsonFields;

use crate::options::CeilingOptions;

/// What actix writes by itself: the status line, `content-length`, `date` and the empty line.
const OWN_HEADERS: usize = 2;

/// Serves until killed.
pub(crate) fn serve(options: &CeilingOptions) -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("info"))
        .fmt_fields(JsonFields::new())
        .event_format(JsonLines)
        .init();
    let body = Bytes::from(vec![b'x'; options.body_bytes]);
    let headers = headers(options)?;
    let server = HttpServer::new(move || {
        let (body, headers) = (body.clone(), headers.clone());
        let answer = move || {
            let mut response = HttpResponse::Ok().body(body.clone());
            for (name, value) in &headers {
                response.headers_mut().insert(name.clone(), value.clone());
            }
            async move { response }
        };
        App::new().route("/api/auth/verify/", web::get().to(answer)).wrap_fn(|request, service| {
            let started = Instant::now();
            let answering = service.call(request);
            async move {
                let response = answering.await?;
                log(&response, started);
                Ok(response)
            }
        })
    });
    actix_web::rt::System::new().block_on(server.workers(1).bind(options.listen)?.run())?;
    Ok(())
}

fn log(response: &actix_web::dev::ServiceResponse, started: Instant) {
    let request = response.request();
    tracing::info!(
        target: ACCESS_LOG_TARGET,
        method = %request.method(),
        route = "/api/auth/verify",
        status = response.status().as_u16(),
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        client = %request.peer_addr().map_or_else(|| [0, 0, 0, 0].into(), |address| address.ip()),
        credential = "access_token:0193f1b2c3d4700089abcdef01234567",
        id = "00000000000000000000000000000000",
    );
}

/// Headers that fill the head up to its size.
fn headers(options: &CeilingOptions) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let own = "HTTP/1.1 200 OK\r\ncontent-length: \r\ndate: Tue, 24 Nov 2026 00:00:00 GMT\r\n\r\n".len()
        + options.body_bytes.to_string().len();
    let count = options.headers.checked_sub(OWN_HEADERS).context("too few headers")?;
    let bytes = options.head_bytes.checked_sub(own).context("too short a head")?;
    // A header is `x-fill-00: ` and CRLF around its value.
    let values = bytes.checked_sub(count * "x-fill-00: \r\n".len()).context("too short a head")?;
    (0..count)
        .map(|number| {
            let length = values / count + usize::from(number < values % count);
            let name = HeaderName::try_from(format!("x-fill-{number:02}"))?;
            Ok((name, HeaderValue::try_from("v".repeat(length))?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_filled_to_the_byte() {
        let options = CeilingOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            headers: 13,
            head_bytes: 700,
            body_bytes: 300,
        };
        let headers = headers(&options).unwrap();
        assert_eq!(headers.len(), 11);
        let filled: usize =
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum();
        let own =
            "HTTP/1.1 200 OK\r\ncontent-length: 300\r\ndate: Tue, 24 Nov 2026 00:00:00 GMT\r\n\r\n".len();
        assert_eq!(filled + own, 700);
    }
}
