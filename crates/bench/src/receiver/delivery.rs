//! A delivery as it comes over the wire.

use anyhow::{Context as _, Result, ensure};
use cryptopay_auth::{Clock as _, SystemClock};
use cryptopay_domain::Timestamp;
use cryptopay_webhook::{WebhookSecret, page_signature};

/// A whole request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delivery<'a> {
    pub(super) endpoint: u32,
    pub(super) event: &'a str,
    head: &'a str,
    body: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// Reads `POST /<endpoint>`; `None` while it is incomplete.
    pub(super) fn read(buffer: &'a [u8]) -> Result<Option<Self>> {
        const END: &[u8] = b"\r\n\r\n";
        let Some(end) = buffer.windows(END.len()).position(|window| window == END) else { return Ok(None) };
        let (head, body) = buffer.split_at(end + END.len());
        let head = std::str::from_utf8(head)?;
        let target = head.strip_prefix("POST /").and_then(|rest| rest.split_once(' '));
        let endpoint = target.context("no POST")?.0.parse().context("a path that is no endpoint's number")?;
        let length: usize = value_of(head, "content-length").context("no Content-Length")?.parse()?;
        ensure!(body.len() <= length, "more bytes than the request has");
        let event = value_of(head, "webhook-id").context("no webhook-id")?;
        Ok((body.len() == length).then_some(Self { endpoint, event, head, body }))
    }

    /// What is needed to verify it later.
    pub(super) fn keep(&self) -> Kept {
        let (head, body) = (self.head.to_owned(), self.body.to_owned());
        Kept { endpoint: self.endpoint, head, body, at: SystemClock.now() }
    }
}

/// A delivery as it came.
pub(super) struct Kept {
    pub(super) endpoint: u32,
    head: String,
    body: Vec<u8>,
    at: Timestamp,
}

impl Kept {
    /// Verifies it by both schemes, as of when it arrived.
    pub(super) fn verify(&self, secret: &str) -> Result<()> {
        let header = |name: &str| value_of(&self.head, name);
        let secret = WebhookSecret::parse(secret)?;
        let signature = header("x-webhook-signature").context("no X-Webhook-Signature")?;
        ensure!(signature == page_signature(&secret, &self.body), "X-Webhook-Signature is wrong");
        Ok(cryptopay_webhook::Receiver::new(secret).verify(header, &self.body, self.at)?)
    }
}

fn value_of<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] =
        b"POST /17 HTTP/1.1\r\nHost: 127.0.0.1\r\nwebhook-id: e1\r\nContent-Length: 2\r\n\r\n{}";

    #[test]
    fn every_beginning_of_a_delivery_waits_for_the_rest() {
        for end in 0..REQUEST.len() {
            assert_eq!(Delivery::read(&REQUEST[..end]).unwrap(), None, "{end}");
        }
        let delivery = Delivery::read(REQUEST).unwrap().unwrap();
        assert_eq!((delivery.endpoint, delivery.event, delivery.body), (17, "e1", b"{}".as_slice()));
    }

    #[test]
    fn what_is_no_delivery_is_an_error() {
        for broken in [
            b"GET /17 HTTP/1.1\r\n\r\n".as_slice(),
            b"POST /x HTTP/1.1\r\nwebhook-id: e1\r\nContent-Length: 0\r\n\r\n",
            b"POST /1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            b"POST /1 HTTP/1.1\r\nwebhook-id: e1\r\n\r\n",
            b"POST /1 HTTP/1.1\r\nwebhook-id: e1\r\nContent-Length: 0\r\n\r\n{}",
        ] {
            assert!(Delivery::read(broken).is_err(), "{}", String::from_utf8_lossy(broken));
        }
    }
}
