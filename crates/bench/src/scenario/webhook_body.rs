//! Writing and signing an event, in process: from an order to the bytes and headers of its delivery.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cryptopay_auth::{Clock as _, SystemClock};
use cryptopay_domain::payment_order::OrderStatus;
use cryptopay_domain::{
    Amount, Currency, Description, EventType, Metadata, PaymentOrder, PaymentOrderId, Timestamp, UserId,
    WebhookEventId,
};
use cryptopay_payments::order_data;
use cryptopay_webhook::{Receiver, SignedHeaders, WebhookSecret, event_body};
use ring::hmac;
use ring::rand::SystemRandom;
use uuid::Uuid;

use crate::bench::{Bench, progress};
use crate::machine::{SERVER_CORE, pin_this_thread};
use crate::report::Row;
use crate::statistics::median;

/// The size of the event.
const BYTES: usize = 2048;
const BAR: f64 = 100_000.0;
/// Events between two looks at the clock.
const BATCH: u32 = 256;

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let (pairs, span) = (bench.pairs(), bench.span() / 2);
    let measured = tokio::task::spawn_blocking(move || {
        pin_this_thread(SERVER_CORE)?;
        let bare = BareSignatures::new();
        let event = Event::of_size(BYTES)?;
        event.check()?;
        (0..pairs).map(|pair| measure_pair(pair, span, &event, &bare)).collect::<Result<Vec<_>>>()
    });
    let pairs = measured.await??;
    let ours = median(pairs.iter().map(|pair| pair.ours));
    let bare = median(pairs.iter().map(|pair| pair.bare));
    Ok(vec![Row {
        what: format!("writing and signing an event of {BYTES} bytes, in process"),
        measured: format!("{ours:.0}/s, {:.1} µs", 1e6 / ours),
        beside: format!("its two HMAC-SHA256 alone: {:.1} µs", 1e6 / bare),
        verdict: format!("{ours:.0}/s"),
        bar: format!("≥ {BAR:.0}/s"),
        decided_by: "time".to_owned(),
        passed: Some(ours >= BAR),
    }])
}

/// Events a second.
struct Pair {
    ours: f64,
    bare: f64,
}

fn measure_pair(pair: usize, span: Duration, event: &Event, bare: &BareSignatures) -> Result<Pair> {
    let mut number = 0;
    let ours = rate(span, || {
        number += 1;
        black_box(event.deliver(number)?);
        Ok(())
    })?;
    let bare = rate(span, || {
        bare.sign();
        Ok(())
    })?;
    progress(format_args!("pair {}: {ours:.0}/s; the signatures alone {bare:.0}/s", pair + 1));
    Ok(Pair { ours, bare })
}

fn rate(span: Duration, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    let mut done = 0_u32;
    while began.elapsed() < span {
        for _ in 0..BATCH {
            work()?;
        }
        done += BATCH;
    }
    Ok(f64::from(done) / began.elapsed().as_secs_f64())
}

/// An order whose creation is told, and the secret of the endpoint that it is told to.
struct Event {
    order: PaymentOrder,
    secret: WebhookSecret,
    now: Timestamp,
}

impl Event {
    /// An event with a body of exactly so many bytes, some of which need an escape and some of which are not ASCII.
    fn of_size(bytes: usize) -> Result<Self> {
        let now = SystemClock.now();
        let mut order = PaymentOrder {
            id: PaymentOrderId(Uuid::from_u128(1)),
            user_id: UserId(123),
            amount: Amount::parse("49.90")?,
            currency: Currency::parse("USD")?,
            description: Some(Description::parse(
                "Two tickets, \"row 7\"\n– vielen Dank für Ihren Einkauf! 🎟",
            )?),
            metadata: metadata("")?,
            status: OrderStatus::Pending,
            created_at: now,
            updated_at: now,
        };
        let secret = WebhookSecret::generate(&SystemRandom::new())?;
        let short = Self { order: order.clone(), secret, now };
        let missing = bytes.checked_sub(short.body(1)?.len()).context("the event is too large already")?;
        order.metadata = metadata(&"n".repeat(missing))?;
        Ok(Self { order, ..short })
    }

    fn body(&self, number: u128) -> Result<Vec<u8>> {
        let id = WebhookEventId(Uuid::from_u128(number)).to_string();
        let event_type = EventType::PaymentOrderCreated.as_str();
        Ok(event_body(&id, event_type, self.order.created_at, order_data(&self.order))?)
    }

    /// All that a delivery sends and that is not the same for all.
    fn deliver(&self, number: u128) -> Result<(SignedHeaders, Vec<u8>)> {
        let body = self.body(number)?;
        let id = WebhookEventId(Uuid::from_u128(number)).to_string();
        Ok((SignedHeaders::new(&[&self.secret], &id, self.now, &body), body))
    }

    /// What is measured is what a receiver takes.
    fn check(&self) -> Result<()> {
        let (headers, body) = self.deliver(7)?;
        let headers = headers.into_pairs();
        ensure!(body.len() == BYTES, "the event has {} bytes", body.len());
        let event: serde_json::Value = serde_json::from_slice(&body)?;
        ensure!(event["data"]["amount"] == "49.90", "unexpected event: {event}");
        let header = |name: &str| {
            headers
                .iter()
                .find(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.as_str())
        };
        Receiver::new(WebhookSecret::parse(self.secret.expose())?).verify(header, &body, self.now)?;
        Ok(())
    }
}

fn metadata(note: &str) -> Result<Metadata> {
    let mut pairs: Vec<_> = (0..16)
        .map(|number| (format!("line-{number}"), format!("SKU-{number:06}, quantity 1, \"standard\" rate")))
        .collect();
    pairs.push(("customer".to_owned(), "jörg@example.com".to_owned()));
    pairs.push(("note".to_owned(), note.to_owned()));
    Ok(Metadata::new(pairs)?)
}

/// The two signatures of a delivery and nothing else.
struct BareSignatures {
    key: hmac::Key,
    body: Vec<u8>,
}

impl BareSignatures {
    fn new() -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]), body: vec![b'a'; BYTES] }
    }

    fn sign(&self) {
        for _ in 0..2 {
            black_box(hmac::sign(&self.key, black_box(&self.body)));
        }
    }
}
