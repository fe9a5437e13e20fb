//! A client of HTTP/1.1 with keep-alive that costs as little as one can: what the load generator spends is
//! missing where the server is to be kept busy.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, borrowed from the connection it came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply<'a> {
    /// The status code.
    pub(crate) status: u16,
    /// Status line and headers, the empty line included.
    pub(crate) head: &'a [u8],
    /// The body.
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(to: SocketAddr) -> io::Result<Self> {
        Self::with(TcpStream::connect(to).await?)
    }

    /// Connects from an address of this machine: on loopback, every 127.x.y.z is one.
    pub(crate) async fn open_from(from: Ipv4Addr, to: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        Self::with(socket.connect(to).await?)
    }

    fn with(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Reply<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let lengths = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection instead of answering");
            }
            if let Some(lengths) = measure(&self.buffer)? {
                break lengths;
            }
        };
        Ok(lengths.cut(&self.buffer))
    }

    /// Sends a request that has to be answered with success.
    pub(crate) async fn succeed(&mut self, request: &[u8]) -> Result<Reply<'_>> {
        self.exchange(request).await?.success()
    }
}

impl<'a> Reply<'a> {
    /// Fails, quoting the answer, unless its status is 2xx.
    pub(crate) fn success(self) -> Result<Self> {
        if !(200..300).contains(&self.status) {
            bail!("answered {}: {}", self.status, String::from_utf8_lossy(self.body));
        }
        Ok(self)
    }

    /// The body as JSON.
    pub(crate) fn json<T: serde::Deserialize<'a>>(self) -> Result<T> {
        serde_json::from_slice(self.body)
            .with_context(|| format!("unexpected body: {}", String::from_utf8_lossy(self.body)))
    }

    /// How many headers it has.
    pub(crate) fn headers(self) -> usize {
        // One line is the status, one is empty.
        self.head.split(|byte| *byte == b'\n').count().saturating_sub(3)
    }
}

/// A `GET` with a bearer credential.
pub(crate) fn get(path: &str, bearer: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\n\r\n").into_bytes()
}

/// A `POST` of JSON, with a bearer credential if there is one.
pub(crate) fn post(path: &str, bearer: Option<&str>, body: &serde_json::Value) -> Vec<u8> {
    let body = body.to_string();
    let authorization =
        bearer.map(|bearer| format!("Authorization: Bearer {bearer}\r\n")).unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Where the parts of an answer end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lengths {
    status: u16,
    head: usize,
    body: usize,
}

impl Lengths {
    fn cut(self, buffer: &[u8]) -> Reply<'_> {
        let (head, body) = buffer.split_at(self.head);
        Reply { status: self.status, head, body: &body[..self.body] }
    }
}

/// Finds the parts of an answer; `None` while it is incomplete. Bodies have to come with a length.
fn measure(buffer: &[u8]) -> Result<Option<Lengths>> {
    let mut status = None;
    let mut body = None;
    let mut start = 0;
    while let Some(length) = buffer[start..].iter().position(|byte| *byte == b'\n') {
        let line = buffer[start..start + length].strip_suffix(b"\r").context("a line ends without CR")?;
        start += length + 1;
        if status.is_none() {
            status = Some(status_of(line).context("no status line of HTTP/1.1")?);
        } else if line.is_empty() {
            let body = body.context("an answer without Content-Length")?;
            let lengths = Lengths { status: status.unwrap_or_default(), head: start, body };
            if buffer.len() > start + body {
                bail!("more bytes than the answer has");
            }
            return Ok((buffer.len() == start + body).then_some(lengths));
        } else if let Some(value) = value_of(line, b"content-length:") {
            body = Some(value.parse().context("Content-Length is no number")?);
        }
    }
    Ok(None)
}

fn status_of(line: &[u8]) -> Option<u16> {
    std::str::from_utf8(line.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()?.parse().ok()
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let (start, value) = line.split_at_checked(name.len())?;
    if !start.eq_ignore_ascii_case(name) {
        return None;
    }
    std::str::from_utf8(value).ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-other: 7\r\n\r\n{}";

    #[test]
    fn an_answer_is_cut_into_its_parts() {
        let reply = measure(ANSWER).unwrap().unwrap().cut(ANSWER);
        assert_eq!((reply.status, reply.body, reply.headers()), (200, b"{}".as_slice(), 2));
        assert!(reply.head.ends_with(b"\r\n\r\n"));
        assert!(reply.success().is_ok());
    }

    #[test]
    fn every_beginning_of_an_answer_waits_for_the_rest() {
        for end in 0..ANSWER.len() {
            assert_eq!(measure(&ANSWER[..end]).unwrap(), None, "{end}");
        }
    }

    #[test]
    fn what_cannot_be_measured_is_an_error() {
        for broken in [
            b"HTTP/1.1 200 OK\r\n\r\n".as_slice(),
            b"HTTP/1.1 200 OK\n\n",
            b"HTTP/2 200\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1",
        ] {
            assert!(measure(broken).is_err(), "{}", String::from_utf8_lossy(broken));
        }
    }

    #[test]
    fn a_refusal_is_no_success_and_is_quoted() {
        let reply = Reply { status: 401, head: b"", body: b"{\"error\":1}" };
        assert_eq!(reply.success().unwrap_err().to_string(), "answered 401: {\"error\":1}");
    }

    #[test]
    fn a_request_is_what_http_wants() {
        let request = post("/x", Some("t"), &serde_json::json!({"a": 1}));
        assert!(request.starts_with(b"POST /x HTTP/1.1\r\nHost: "));
        assert!(request.ends_with(b"Authorization: Bearer t\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}"));
    }
}
