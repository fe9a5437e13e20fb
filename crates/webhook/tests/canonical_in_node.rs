//! A real JavaScript engine gives every body back byte for byte, whatever a merchant puts into it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets what it does not expect has failed"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use cryptopay_domain::Timestamp;
use cryptopay_webhook::{CanonicalObject, CanonicalValue, SafeInteger, event_body};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Keys and values that have surprised somebody before.
const SURPRISING: [&str; 38] = [
    "",
    "0",
    "1",
    "9",
    "10",
    "00",
    "01",
    "-0",
    "-1",
    "+1",
    "1.0",
    "1e3",
    " 1",
    "2147483647",
    "2147483648",
    "4294967293",
    "4294967294",
    "4294967295",
    "4294967296",
    "9007199254740991",
    "9007199254740993",
    "__proto__",
    "constructor",
    "prototype",
    "toJSON",
    "hasOwnProperty",
    "length",
    "NaN",
    "null",
    "\u{2028}\u{2029}",
    "\u{feff}",
    "\u{7f}\u{80}\u{9f}",
    "\\u0041\\\"/",
    "😀\u{1f1e6}\u{1f1fd}👩‍👩‍👧",
    "\u{fffd}\u{ffff}\u{10ffff}\u{d7ff}\u{e000}",
    "e\u{301} é",
    "</script><!-- &amp; ' = `",
    "\0\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f}",
];

/// One long-lived process that parses and writes JSON.
struct Node {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Node {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/canonical_in_node.js");
        let mut command = Command::new("node");
        let child = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("node is installed: `just setup`");
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// `JSON.stringify(JSON.parse(body))`.
    fn parse_and_stringify(&mut self, body: &[u8]) -> Vec<u8> {
        self.input.write_all(&[body, b"\n"].concat()).unwrap();
        let mut answer = Vec::new();
        self.output.read_until(b'\n', &mut answer).unwrap();
        assert_eq!(answer.pop(), Some(b'\n'), "node has ended");
        answer
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Strings of every kind: surprising ones, numbers, controls, any Unicode, long ones, and pieces of all of them.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(SURPRISING.as_slice()).prop_map(str::to_owned),
        2 => any::<u32>().prop_map(|number| number.to_string()),
        1 => (0_u64..1 << 40).prop_map(|number| number.to_string()),
        2 => vec(0_u8..0x20, 0..8).prop_map(|controls| controls.into_iter().map(char::from).collect()),
        2 => vec(any::<char>(), 0..20).prop_map(String::from_iter),
        2 => "[ -~]{0,20}",
    ];
    prop_oneof![
        6 => piece.clone(),
        2 => vec(piece.clone(), 0..5).prop_map(|pieces| pieces.concat()),
        1 => (piece, 1_usize..200).prop_map(|(piece, times)| piece.repeat(times).chars().take(1000).collect()),
    ]
}

/// Values nested deeper than any event has them.
fn value() -> impl Strategy<Value = CanonicalValue<'static>> {
    let leaf = prop_oneof![
        1 => Just(CanonicalValue::Null),
        1 => any::<bool>().prop_map(CanonicalValue::from),
        2 => (-(1_i64 << 53) + 1..1 << 53).prop_map(|integer| SafeInteger::try_from(integer).unwrap().into()),
        6 => text().prop_map(CanonicalValue::from),
    ];
    leaf.prop_recursive(4, 60, 12, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..6).prop_map(CanonicalValue::Array),
            4 => vec((text(), inner), 0..12).prop_map(|entries| object(entries).into()),
        ]
    })
}

fn object<V: Into<CanonicalValue<'static>>>(
    entries: impl IntoIterator<Item = (String, V)>,
) -> CanonicalObject<'static> {
    entries.into_iter().fold(CanonicalObject::new(), |object, (key, value)| object.with(key, value))
}

fn check<S: Strategy>(cases: u32, strategy: &S, body: impl Fn(&S::Value) -> Vec<u8>) {
    let node = RefCell::new(Node::start());
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let outcome = runner.run(strategy, |generated| {
        let body = body(&generated);
        let echoed = node.borrow_mut().parse_and_stringify(&body);
        prop_assert_eq!(String::from_utf8_lossy(&echoed), String::from_utf8_lossy(&body));
        prop_assert!(echoed == body);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn an_order_event_survives_whatever_its_description_and_metadata_hold() {
    let order = (proptest::option::of(text()), btree_map(text(), text(), 0..50));
    check(4000, &order, |(description, metadata): &(Option<String>, BTreeMap<String, String>)| {
        let data = CanonicalObject::new()
            .with("id", "0193f1b2c3d4700089abcdef01234567")
            .with("amount", "49.90")
            .with("description", description.clone())
            .with("metadata", object(metadata.clone()));
        let body =
            event_body("e1", "payment_order.paid", Timestamp::from_unix_seconds(0), data.into()).unwrap();
        // Nothing is lost on the way either.
        let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(read["data"]["description"], serde_json::json!(description));
        assert_eq!(read["data"]["metadata"], serde_json::json!(metadata));
        body
    });
}

#[test]
fn any_canonical_value_survives() {
    check(4000, &value(), CanonicalValue::to_bytes);
}

#[test]
fn every_surprising_key_survives_beside_all_others() {
    let mut node = Node::start();
    let all = SURPRISING.into_iter().rev().map(|text| (text.to_owned(), text));
    let body = CanonicalValue::from(object(all)).to_bytes();
    assert_eq!(String::from_utf8(node.parse_and_stringify(&body)).unwrap(), String::from_utf8(body).unwrap());
}

#[test]
fn every_character_survives() {
    let mut node = Node::start();
    let characters: Vec<char> = ('\0'..=char::MAX).collect();
    for piece in characters.chunks(1 << 14) {
        let body = CanonicalValue::from(piece.iter().collect::<String>()).to_bytes();
        assert!(node.parse_and_stringify(&body) == body, "between {:?} and {:?}", piece[0], piece.last());
    }
}

#[test]
fn the_engine_does_tell_other_bytes_from_canonical_ones() {
    let mut node = Node::start();
    for other in
        [r#"{"b":1,"0":2}"#, r#"{"a": 1}"#, r#"["\u007F"]"#, r#"["\u000B"]"#, r#"["\/"]"#, "[1.0]", "{"]
    {
        assert_ne!(node.parse_and_stringify(other.as_bytes()), other.as_bytes(), "{other}");
    }
}
