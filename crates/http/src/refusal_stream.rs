//! A connection on which what the HTTP library refuses by itself leaves in the contract's shape.
//!
//! A request that cannot be read (a malformed line, a head that is too large or never comes) reaches no
//! route and no middleware: the library writes a bare status and closes the connection. That it was the
//! library shows in what is missing, since every answer of ours carries `X-Request-Id`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::access_log;
use crate::connection_limit::Place;
use crate::error::ErrorBody;
use crate::metrics::Metrics;
use crate::request_id::RequestIds;

/// Longer than any bare answer of the library, so that only the end of a buffer is looked at.
const LONGEST: usize = 256;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// The connection, watched on its way out.
pub(crate) struct RefusalStream<Io> {
    io: Io,
    request_ids: RequestIds,
    metrics: Option<Metrics>,
    replacement: Option<Replacement>,
    /// Held as long as the connection is.
    _place: Place,
}

/// What goes out in the place of a bare answer.
struct Replacement {
    bytes: Vec<u8>,
    written: usize,
}

/// Why a request could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unreadable {
    Malformed,
    HeadTimedOut,
    HeadTooLarge,
    Broken,
}

impl<Io> RefusalStream<Io> {
    pub(crate) const fn new(io: Io, request_ids: RequestIds, metrics: Option<Metrics>, place: Place) -> Self {
        Self { io, request_ids, metrics, replacement: None, _place: place }
    }

    pub(crate) const fn get_ref(&self) -> &Io {
        &self.io
    }
}

impl<Io: AsyncWrite + Unpin> RefusalStream<Io> {
    /// Writes what is left of the replacement, then counts all of `bare` as written.
    fn poll_replace(&mut self, cx: &mut Context<'_>, bare: usize) -> Poll<io::Result<usize>> {
        while let Some(replacement) = &mut self.replacement {
            let rest = &replacement.bytes[replacement.written..];
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written if written == rest.len() => self.replacement = None,
                written => replacement.written += written,
            }
        }
        Poll::Ready(Ok(bare))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for RefusalStream<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        if self.replacement.is_some() {
            return self.poll_replace(cx, buffer.len());
        }
        match find_bare_answer(buffer) {
            None => Pin::new(&mut self.io).poll_write(cx, buffer),
            // Answers that stand before it go out first, as they are.
            Some((start @ 1.., _)) => Pin::new(&mut self.io).poll_write(cx, &buffer[..start]),
            Some((0, why)) => {
                let request_id = self.request_ids.make();
                access_log::record_unreadable(why.status(), request_id);
                if let Some(metrics) = &self.metrics {
                    metrics.unreadable(why.status());
                }
                let bytes = why.answer(&request_id.to_string());
                self.replacement = Some(Replacement { bytes, written: 0 });
                self.poll_replace(cx, buffer.len())
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for RefusalStream<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

/// Finds the library's own answer: it has no body and is the last on its connection, so it ends the buffer.
fn find_bare_answer(buffer: &[u8]) -> Option<(usize, Unreadable)> {
    // Answers of ours end with a body, which is all that most of them are asked.
    let head_end = buffer.strip_suffix(END_OF_HEAD)?.len();
    let window = head_end.saturating_sub(LONGEST);
    let start = window + rfind(&buffer[window..head_end], b"HTTP/1.")?;
    let head = &buffer[start..head_end];
    let status = std::str::from_utf8(head.get(9..12)?).ok()?.parse::<u16>().ok()?;
    let is_ours = rfind(head, b"\r\nx-request-id:").is_some();
    let has_no_body = rfind(head, b"\r\ncontent-length: 0").is_some();
    if status < 400 || is_ours || !has_no_body {
        return None;
    }
    let why = match status {
        408 => Unreadable::HeadTimedOut,
        431 => Unreadable::HeadTooLarge,
        400..=499 => Unreadable::Malformed,
        _ => Unreadable::Broken,
    };
    Some((start, why))
}

fn rfind(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).rposition(|window| window.eq_ignore_ascii_case(needle))
}

impl Unreadable {
    const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::HeadTimedOut => 408,
            Self::HeadTooLarge => 431,
            Self::Broken => 500,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "Bad Request",
            Self::HeadTimedOut => "Request Timeout",
            Self::HeadTooLarge => "Request Header Fields Too Large",
            Self::Broken => "Internal Server Error",
        }
    }

    fn body(self) -> ErrorBody {
        let (code, message) = match self {
            Self::Malformed => ("BAD_REQUEST", "This is no well-formed HTTP/1.1 request"),
            Self::HeadTimedOut => ("REQUEST_TIMEOUT", "The request's head did not arrive in time"),
            Self::HeadTooLarge => {
                ("REQUEST_HEADER_FIELDS_TOO_LARGE", "The request's address and headers are too large")
            }
            Self::Broken => ("INTERNAL_ERROR", "Something went wrong on our side"),
        };
        ErrorBody::plain(code, message)
    }

    /// The whole answer, headers as `envelope.rs` has them.
    fn answer(self, request_id: &str) -> Vec<u8> {
        // A body of plain strings always serialises.
        let body = serde_json::to_string(&self.body()).unwrap_or_default();
        format!(
            "HTTP/1.1 {} {}\r\n\
             content-type: application/json\r\n\
             content-length: {}\r\n\
             x-request-id: {request_id}\r\n\
             x-content-type-options: nosniff\r\n\
             referrer-policy: no-referrer\r\n\
             cache-control: no-store\r\n\
             content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n\
             connection: close\r\n\r\n{body}",
            self.status(),
            self.reason(),
            body.len(),
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::connection_limit::ConnectionLimit;

    const BARE: &str =
        "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\ndate: today\r\n\r\n";
    const OURS: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-request-id: a\r\n\r\n{}";

    #[test]
    fn only_a_bare_refusal_at_the_end_is_found() {
        assert_eq!(find_bare_answer(BARE.as_bytes()), Some((0, Unreadable::HeadTooLarge)));
        let after = format!("{OURS}{BARE}");
        assert_eq!(find_bare_answer(after.as_bytes()), Some((OURS.len(), Unreadable::HeadTooLarge)));
        for other in [
            OURS,
            "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\nx-request-id: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\n\r\n\r\n\r\n",
            "\r\n\r\n",
            "HTTP/1.1 \r\n\r\n",
            "",
        ] {
            assert_eq!(find_bare_answer(other.as_bytes()), None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn what_stands_before_it_is_kept_and_it_is_replaced_even_through_a_narrow_pipe() {
        let (near, mut far) = tokio::io::duplex(7);
        let limit = Arc::new(ConnectionLimit::new(1, 1, Vec::new()));
        let place = limit.admit("192.0.2.1".parse().unwrap()).unwrap();
        let mut stream = RefusalStream::new(near, RequestIds::new(1), None, place);
        let sent = format!("{OURS}{BARE}");
        let writing = async {
            stream.write_all(sent.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let mut received = String::new();
        let (_, read) = tokio::join!(writing, far.read_to_string(&mut received));
        read.unwrap();
        let refusal = received.strip_prefix(OURS).expect("the answer before it");
        let (head, body) = refusal.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
        assert!(head.contains("x-request-id: 0000000000000001"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert!(body.starts_with(r#"{"error":{"code":"REQUEST_HEADER_FIELDS_TOO_LARGE""#), "{body}");
    }
}
