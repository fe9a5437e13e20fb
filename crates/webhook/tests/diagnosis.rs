//! The webhook doctor names the mistake that a merchant's code makes.
#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cryptopay_webhook::{Diagnosis, Finding, SecretRole, WebhookSecret, diagnose, page_signature};
use ring::hmac::{self, HMAC_SHA256};

const SIGNING: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// `del` holds U+007F as it is, here and below, unless an encoder escapes it.
const BODY: &str =
    r#"{"id":"e1","data":{"url":"a/b","name":"Zoë 😀<>&='","del":"","list":{"0":"x","1":"y"},"empty":{}}}"#;

fn secret(text: &str) -> WebhookSecret {
    WebhookSecret::parse(text).unwrap()
}

fn diagnose_body(signature: &str) -> Diagnosis {
    diagnose(signature, BODY.as_bytes(), &[(SecretRole::Signing, &secret(SIGNING))])
}

fn explained_by(findings: &[Finding]) -> Diagnosis {
    Diagnosis::Explained(findings.to_vec())
}

/// The HMAC as somebody's code makes it.
fn tag(key: &[u8], signed: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), signed)
}

fn hex(tag: hmac::Tag) -> String {
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The diagnosis of a signature over other bytes with the right secret.
fn diagnosis_of_signing(bytes: &[u8]) -> Diagnosis {
    diagnose_body(&hex(tag(SIGNING.as_bytes(), bytes)))
}

#[test]
fn the_delivery_s_own_signature_is_correct() {
    let signature = page_signature(&secret(SIGNING), BODY.as_bytes());
    assert_eq!(diagnose_body(&signature), Diagnosis::Correct);
}

#[test]
fn a_signature_that_no_mistake_gives_is_unknown_and_what_is_none_is_said_to_be_none() {
    assert_eq!(diagnose_body(&"0".repeat(64)), Diagnosis::Unknown);
    assert_eq!(diagnosis_of_signing(b"something else"), Diagnosis::Unknown);
    let sha512 = "0".repeat(128);
    for nothing in ["", "undefined", &"0".repeat(63), &"g".repeat(64), &sha512, "é", "sha256=", "===="] {
        assert_eq!(diagnose_body(nothing), Diagnosis::NotASignature, "{nothing}");
    }
}

#[test]
fn another_way_to_write_the_signature_is_named() {
    let right = tag(SIGNING.as_bytes(), BODY.as_bytes());
    let hex = hex(right);
    for (text, findings) in [
        (hex.to_uppercase(), vec![Finding::UpperCase]),
        (format!("sha256={hex}"), vec![Finding::Prefixed]),
        (format!(" {hex}\n"), vec![Finding::BlanksAround]),
        (STANDARD.encode(right), vec![Finding::Base64]),
        (URL_SAFE_NO_PAD.encode(right), vec![Finding::Base64]),
        (format!("v1,{}", STANDARD.encode(right)), vec![Finding::Prefixed, Finding::Base64]),
    ] {
        assert_eq!(diagnose_body(&text), explained_by(&findings), "{text}");
    }
}

#[test]
fn another_key_is_named() {
    let (_, base64) = SIGNING.split_at(6);
    // Buffer.from(secret, 'base64') in Node.
    let of_the_whole = STANDARD.decode(&SIGNING.replace('_', "/")[..48]).unwrap();
    assert_eq!(of_the_whole.len(), 36);
    for (key, finding) in [
        (STANDARD.decode(base64).unwrap(), Finding::SecretDecoded),
        (of_the_whole.to_vec(), Finding::SecretDecoded),
        (base64.into(), Finding::SecretWithoutPrefix),
        (format!("{SIGNING}\n").into(), Finding::SecretWithNewline),
    ] {
        let signature = hex(tag(&key, BODY.as_bytes()));
        assert_eq!(diagnose_body(&signature), explained_by(&[finding]));
    }
}

#[test]
fn a_rotation_s_other_secret_is_named_by_its_part_in_it() {
    let (signing, other) = (secret(SIGNING), secret(OTHER));
    let signature = page_signature(&other, BODY.as_bytes());
    for (role, finding) in
        [(SecretRole::Upcoming, Finding::NewSecret), (SecretRole::Ended, Finding::OldSecret)]
    {
        let secrets = [(SecretRole::Signing, &signing), (role, &other)];
        assert_eq!(diagnose(&signature, BODY.as_bytes(), &secrets), explained_by(&[finding]));
    }
    assert_eq!(diagnose_body(&signature), Diagnosis::Unknown);
}

#[test]
fn other_bytes_than_the_body_are_named() {
    let data = &BODY[BODY.find("{\"url").unwrap()..BODY.len() - 1];
    let quoted = serde_json::to_string(BODY).unwrap();
    let latin1: String = BODY.bytes().map(char::from).collect();
    for (bytes, finding) in [
        (String::new(), Finding::EmptyBody),
        (format!("{BODY}\n"), Finding::NewlineAdded),
        (format!("{BODY}\r\n"), Finding::NewlineAdded),
        (data.to_owned(), Finding::DataAlone),
        (quoted, Finding::EncodedTwice),
        (latin1, Finding::ReadAsLatin1),
        ("[object Object]".into(), Finding::ObjectAsText),
        ("{}".into(), Finding::BodyNotParsed),
    ] {
        assert_eq!(diagnosis_of_signing(bytes.as_bytes()), explained_by(&[finding]), "{bytes}");
    }
    let signature = hex(tag(SIGNING.as_bytes(), b"{}"));
    let diagnosis = diagnose(&signature, b" {}\n", &[(SecretRole::Signing, &secret(SIGNING))]);
    assert_eq!(diagnosis, explained_by(&[Finding::Trimmed]));
}

/// What the encoders of other languages really made of the body.
#[test]
fn the_encoders_of_other_languages_are_told_apart() {
    use Finding::{
        Indented, KeysSorted, MarkupEscaped, NonAsciiEscaped, ObjectsBecameLists, SlashesEscaped,
        SpacesAfterSeparators,
    };
    let cases: [(&str, &[Finding]); 10] = [
        // json.dumps(body, ensure_ascii=False)
        (
            r#"{"id": "e1", "data": {"url": "a/b", "name": "Zoë 😀<>&='", "del": "", "list": {"0": "x", "1": "y"}, "empty": {}}}"#,
            &[SpacesAfterSeparators],
        ),
        // json.dumps(body)
        (
            r#"{"id": "e1", "data": {"url": "a/b", "name": "Zo\u00eb \ud83d\ude00<>&='", "del": "\u007f", "list": {"0": "x", "1": "y"}, "empty": {}}}"#,
            &[SpacesAfterSeparators, NonAsciiEscaped],
        ),
        // json.dumps(body, separators=(',', ':'))
        (
            r#"{"id":"e1","data":{"url":"a/b","name":"Zo\u00eb \ud83d\ude00<>&='","del":"\u007f","list":{"0":"x","1":"y"},"empty":{}}}"#,
            &[NonAsciiEscaped],
        ),
        // json.dumps(body, sort_keys=True)
        (
            r#"{"data": {"del": "\u007f", "empty": {}, "list": {"0": "x", "1": "y"}, "name": "Zo\u00eb \ud83d\ude00<>&='", "url": "a/b"}, "id": "e1"}"#,
            &[KeysSorted, SpacesAfterSeparators, NonAsciiEscaped],
        ),
        // json.dumps(body, indent=4)
        (
            "{\n    \"id\": \"e1\",\n    \"data\": {\n        \"url\": \"a/b\",\n        \"name\": \"Zo\\u00eb \\ud83d\\ude00<>&='\",\n        \"del\": \"\\u007f\",\n        \"list\": {\n            \"0\": \"x\",\n            \"1\": \"y\"\n        },\n        \"empty\": {}\n    }\n}",
            &[Indented, NonAsciiEscaped],
        ),
        // JSON.stringify(body, null, 2)
        (
            "{\n  \"id\": \"e1\",\n  \"data\": {\n    \"url\": \"a/b\",\n    \"name\": \"Zoë 😀<>&='\",\n    \"del\": \"\",\n    \"list\": {\n      \"0\": \"x\",\n      \"1\": \"y\"\n    },\n    \"empty\": {}\n  }\n}",
            &[Indented],
        ),
        // json_encode(json_decode($body)), and of json_decode($body, true).
        (
            r#"{"id":"e1","data":{"url":"a\/b","name":"Zo\u00eb \ud83d\ude00<>&='","del":"","list":{"0":"x","1":"y"},"empty":{}}}"#,
            &[SlashesEscaped, NonAsciiEscaped],
        ),
        (
            r#"{"id":"e1","data":{"url":"a\/b","name":"Zo\u00eb \ud83d\ude00<>&='","del":"","list":["x","y"],"empty":[]}}"#,
            &[ObjectsBecameLists, SlashesEscaped, NonAsciiEscaped],
        ),
        // json.Marshal of a map in Go.
        (
            r#"{"data":{"del":"","empty":{},"list":{"0":"x","1":"y"},"name":"Zoë 😀\u003c\u003e\u0026='","url":"a/b"},"id":"e1"}"#,
            &[KeysSorted, MarkupEscaped],
        ),
        // Gson.
        (
            r#"{"id":"e1","data":{"url":"a/b","name":"Zoë 😀\u003c\u003e\u0026\u003d\u0027","del":"","list":{"0":"x","1":"y"},"empty":{}}}"#,
            &[MarkupEscaped],
        ),
    ];
    for (text, findings) in cases {
        assert_eq!(diagnosis_of_signing(text.as_bytes()), explained_by(findings), "{text}");
    }
}

#[test]
fn mistakes_that_are_made_together_are_told_together() {
    let (_, base64) = SIGNING.split_at(6);
    let signature = STANDARD.encode(tag(&STANDARD.decode(base64).unwrap(), format!("{BODY}\n").as_bytes()));
    let findings = [Finding::Base64, Finding::SecretDecoded, Finding::NewlineAdded];
    assert_eq!(diagnose_body(&signature), explained_by(&findings));
}

#[test]
fn a_body_that_is_no_json_is_diagnosed_all_the_same() {
    let secrets = [(SecretRole::Signing, &secret(SIGNING))];
    let signature = hex(tag(SIGNING.as_bytes(), b"\xff{\n"));
    assert_eq!(diagnose(&signature, b"\xff{", &secrets), explained_by(&[Finding::NewlineAdded]));
    assert_eq!(diagnose(&"0".repeat(64), b"\xff{", &secrets), Diagnosis::Unknown);
}
