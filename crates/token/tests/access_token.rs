//! Access tokens as a whole: what counts, what does not, and why.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, though the lint does not see it")]

use std::time::Duration;

use AccessTokenError::{
    Audience, Claims, Expired, Footer, Forged, Issuer, Malformed, NotYetValid, TooLong, UnknownKey,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cryptopay_domain::{Environment, Permission, PermissionSet, SessionId, Timestamp, UserId};
use cryptopay_token::{
    AccessClaims, AccessTokenError, ApiKey, ApiKeyRef, IssueError, KeyRing, RefreshContext, RefreshParts,
    SigningKey, TokenContext, VerifiedAccessToken, access_token, refresh_token,
};
use pasetors::keys::AsymmetricSecretKey;
use pasetors::version4::{PublicToken, V4};
use proptest::prelude::*;
use ring::rand::SystemRandom;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

const PASERK: &str =
    "k4.secret.cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8c5WpIyC_5kWKhS8VEYSZ05dYfuTF-ZdQFV4D9vLTcNQ";
const KID: &str = "k4.pid.mCv5F34c3ALB7hzKEOQUsEBpj3CTArhbJzGyeeCCKWn1";
const ASSERTION: &str = "cryptopay:access-token:v1:sandbox";

fn noon() -> Timestamp {
    Timestamp::parse("2024-01-02T12:00:00Z").unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ring() -> KeyRing {
    KeyRing::fixed(vec![SigningKey::from_paserk(PASERK).unwrap()]).unwrap()
}

fn context() -> TokenContext {
    TokenContext::new("https://api.example.com", Environment::Sandbox)
}

fn claims() -> AccessClaims {
    AccessClaims {
        subject: UserId(123),
        username: "your-username".to_owned(),
        token_id: Uuid::from_u128(1),
        issued_at: noon(),
        expires_at: noon().after(seconds(86_400)),
        session: SessionId(Uuid::from_u128(2)),
        refresh_counter: 7,
        permissions: PermissionSet::FULL,
    }
}

fn issue(claims: &AccessClaims) -> String {
    access_token::issue(claims, ring().active(noon()), &context()).unwrap().expose().to_owned()
}

fn verify_at(token: &str, now: Timestamp) -> Result<VerifiedAccessToken, AccessTokenError> {
    access_token::verify(token, &ring(), &context(), now)
}

fn payload_of(token: &str) -> Value {
    let message = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(2).unwrap()).unwrap();
    serde_json::from_slice(&message[..message.len() - 64]).unwrap()
}

/// Signs anything at all with the key of the ring.
fn sign(payload: &str, footer: &str, assertion: &str) -> String {
    let key = SigningKey::from_paserk(PASERK).unwrap();
    let secret = AsymmetricSecretKey::<V4>::try_from(key.to_paserk().expose_secret()).unwrap();
    let footer = (!footer.is_empty()).then_some(footer.as_bytes());
    PublicToken::sign(&secret, payload.as_bytes(), footer, Some(assertion.as_bytes())).unwrap()
}

fn right_footer() -> String {
    format!(r#"{{"kid":"{KID}"}}"#)
}

/// What happens to a token, right in all else, whose claim `name` is `value` (or missing).
fn with_claim(name: &str, value: Option<Value>) -> Result<VerifiedAccessToken, AccessTokenError> {
    let mut payload = payload_of(&issue(&claims()));
    match value {
        Some(value) => payload[name] = value,
        None => drop(payload.as_object_mut().unwrap().remove(name).unwrap()),
    }
    verify_at(&sign(&payload.to_string(), &right_footer(), ASSERTION), noon())
}

#[test]
fn a_token_holds_the_claims_and_the_footer_of_the_design() {
    let token = issue(&claims());
    let expected = json!({
        "iss": "https://api.example.com",
        "sub": "123",
        "username": "your-username",
        "aud": "cryptopay-api:sandbox",
        "jti": "00000000000000000000000000000001",
        "iat": "2024-01-02T12:00:00Z",
        "nbf": "2024-01-02T12:00:00Z",
        "exp": "2024-01-03T12:00:00Z",
        "sid": "00000000000000000000000000000002",
        "rc": 7,
        "perms": ["read", "create_payments", "manage_webhooks", "full_access"],
    });
    assert_eq!(payload_of(&token), expected);
    let footer = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(3).unwrap()).unwrap();
    assert_eq!(String::from_utf8(footer).unwrap(), right_footer());
    assert!(token.starts_with("v4.public."));
}

#[test]
fn an_expired_token_still_tells_what_it_was() {
    let token = issue(&claims());
    let opened = |text: &str| access_token::verify_expired_or_not(text, &ring(), &context(), Timestamp::MAX);
    let found = opened(&token).unwrap();
    assert_eq!(found.claims, claims());
    assert!(found.claims.has_expired(Timestamp::MAX) && !found.claims.has_expired(claims().issued_at));
    assert!(opened(&token[..token.len() - 1]).is_err(), "in all else it is judged like any other");
}

#[test]
fn the_end_is_exact() {
    let token = issue(&claims());
    let end = claims().expires_at;
    assert!(verify_at(&token, end.before(Duration::from_micros(1))).is_ok());
    assert_eq!(verify_at(&token, end), Err(Expired));
    assert_eq!(verify_at(&token, Timestamp::MAX), Err(Expired));
}

#[test]
fn a_token_from_a_clock_that_runs_ahead_counts_within_the_leeway() {
    let token = issue(&claims());
    assert!(verify_at(&token, noon().before(seconds(30))).is_ok());
    let early = noon().before(seconds(30) + Duration::from_micros(1));
    assert_eq!(verify_at(&token, early), Err(NotYetValid));
}

#[test]
fn both_moments_of_beginning_are_looked_at() {
    let late = Some(json!("2024-01-02T12:00:31Z"));
    assert_eq!(with_claim("nbf", late.clone()), Err(NotYetValid));
    assert_eq!(with_claim("iat", late), Err(NotYetValid));
    assert!(with_claim("nbf", Some(json!("2024-01-02T12:00:30Z"))).is_ok());
}

#[test]
fn fractions_of_a_second_are_dropped() {
    let precise = AccessClaims {
        issued_at: noon().after(Duration::from_micros(999_999)),
        expires_at: noon().after(Duration::from_micros(5_999_999)),
        ..claims()
    };
    let read = verify_at(&issue(&precise), noon()).unwrap().claims;
    assert_eq!(read, AccessClaims { issued_at: noon(), expires_at: noon().after(seconds(5)), ..precise });
}

#[test]
fn a_token_is_bound_to_issuer_audience_and_environment() {
    let token = issue(&claims());
    let elsewhere = TokenContext::new("https://api.example.org", Environment::Sandbox);
    assert_eq!(access_token::verify(&token, &ring(), &elsewhere, noon()), Err(Issuer));
    let production = TokenContext::new("https://api.example.com", Environment::Production);
    assert_eq!(access_token::verify(&token, &ring(), &production, noon()), Err(Forged));
    assert_eq!(with_claim("iss", Some(json!("https://api.example.com/"))), Err(Issuer));
    assert_eq!(with_claim("aud", Some(json!("cryptopay-api:production"))), Err(Audience));
}

#[test]
fn a_missing_or_misshapen_claim_is_refused() {
    for name in ["iss", "sub", "username", "aud", "jti", "iat", "nbf", "exp", "sid", "rc", "perms"] {
        assert_eq!(with_claim(name, None), Err(Claims), "{name}");
        assert_eq!(with_claim(name, Some(Value::Null)), Err(Claims), "{name}");
    }
    let wrong = [
        ("sub", json!(123)),
        ("sub", json!("one")),
        ("sub", json!("")),
        ("jti", json!("1")),
        ("iat", json!(1_704_196_800)),
        ("nbf", json!("yesterday")),
        ("exp", json!("2024-01-03")),
        ("sid", json!("00000000-0000-0000-0000-000000000002")),
        ("rc", json!(-1)),
        ("rc", json!("7")),
        ("perms", json!("read")),
        ("perms", json!(["read", "everything"])),
    ];
    for (name, value) in wrong {
        assert_eq!(with_claim(name, Some(value.clone())), Err(Claims), "{name}: {value}");
    }
    for payload in ["null", "[]", "{}", "not json"] {
        let token = sign(payload, &right_footer(), ASSERTION);
        assert_eq!(verify_at(&token, noon()), Err(Claims), "{payload}");
    }
}

#[test]
fn a_claim_that_is_not_known_yet_is_let_pass() {
    assert_eq!(with_claim("amr", Some(json!(["pwd"]))).unwrap().claims, claims());
}

#[test]
fn a_token_signed_for_another_purpose_is_forged() {
    let payload = payload_of(&issue(&claims())).to_string();
    assert!(verify_at(&sign(&payload, &right_footer(), ASSERTION), noon()).is_ok());
    for assertion in ["", "cryptopay:access-token:v1:production", "cryptopay:other-token:v1:sandbox"] {
        assert_eq!(
            verify_at(&sign(&payload, &right_footer(), assertion), noon()),
            Err(Forged),
            "{assertion}"
        );
    }
}

#[test]
fn a_footer_that_is_not_exactly_a_key_id_is_refused_even_if_signed() {
    let payload = payload_of(&issue(&claims())).to_string();
    let footers = [
        (String::new(), Footer),
        ("{}".to_owned(), Footer),
        (KID.to_owned(), Footer),
        (format!(r#"{{"kid":"{KID}","wpk":"k4.local-wrap.pie.x"}}"#), Footer),
        (format!(r#"{{"kid":"{KID}","kid":"{KID}"}}"#), Footer),
        (format!(r#"{{"kid":["{KID}"]}}"#), Footer),
        (r#"{"kid":""}"#.to_owned(), UnknownKey),
        (format!(r#"{{"kid":"{}"}}"#, KID.replace("pid", "sid")), UnknownKey),
    ];
    for (footer, expected) in footers {
        assert_eq!(verify_at(&sign(&payload, &footer, ASSERTION), noon()), Err(expected), "{footer}");
    }
}

#[test]
fn a_withdrawn_key_takes_its_tokens_along_and_a_retiring_one_does_not() {
    let (token, old) = (issue(&claims()), ring());
    let next = SigningKey::generate(&SystemRandom::new()).unwrap();
    let rotated = KeyRing::fixed(vec![next.clone(), old.active(noon()).clone()]).unwrap();
    let verified = access_token::verify(&token, &rotated, &context(), noon()).unwrap();
    assert_eq!(verified.kid.as_str(), KID);
    assert!(rotated.contains(&verified.kid));
    let withdrawn = KeyRing::fixed(vec![next]).unwrap();
    assert_eq!(access_token::verify(&token, &withdrawn, &context(), noon()), Err(UnknownKey));
    assert!(!withdrawn.contains(&verified.kid));
}

#[test]
fn a_footer_that_names_another_key_of_the_ring_is_forged() {
    let other = SigningKey::generate(&SystemRandom::new()).unwrap();
    let ring = KeyRing::fixed(vec![ring().active(noon()).clone(), other.clone()]).unwrap();
    let payload = payload_of(&issue(&claims())).to_string();
    let token = sign(&payload, &format!(r#"{{"kid":"{}"}}"#, other.kid()), ASSERTION);
    assert_eq!(access_token::verify(&token, &ring, &context(), noon()), Err(Forged));
}

#[test]
fn absurdly_long_tokens_are_neither_made_nor_looked_at() {
    let long = AccessClaims { username: "x".repeat(access_token::MAX_TOKEN_BYTES), ..claims() };
    let key = SigningKey::from_paserk(PASERK).unwrap();
    assert_eq!(access_token::issue(&long, &key, &context()).unwrap_err(), IssueError::TooLong);
    let token = "v4.public.".to_owned() + &"A".repeat(access_token::MAX_TOKEN_BYTES);
    assert_eq!(verify_at(&token, noon()), Err(TooLong));
    assert!(issue(&AccessClaims { username: "x".repeat(64), ..claims() }).len() * 4 < 4096);
}

#[test]
fn other_versions_purposes_and_spellings_are_malformed() {
    let token = issue(&claims());
    let body = token.strip_prefix("v4.public.").unwrap();
    let (message, footer) = body.split_once('.').unwrap();
    let texts = [
        String::new(),
        "v4.public.".to_owned(),
        "v4.public..".to_owned(),
        format!("v4.local.{body}"),
        format!("v3.public.{body}"),
        format!("v2.public.{body}"),
        format!("V4.public.{body}"),
        format!("Bearer {token}"),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}="),
        format!("{token}."),
        format!("v4.public.{message}=.{footer}"),
        format!("v4.public.{}.{footer}", &message[..80]),
        body.to_owned(),
    ];
    for text in texts {
        assert_eq!(verify_at(&text, noon()), Err(Malformed), "{text}");
    }
    assert_eq!(verify_at(&format!("v4.public.{message}"), noon()), Err(Footer));
}

#[test]
fn unused_bits_of_base64url_must_be_zero() {
    // Each length of username shifts the end of the message, so that all remainders of base64 occur.
    let mut with_unused_bits = 0;
    for length in 3..6 {
        let token = issue(&AccessClaims { username: "x".repeat(length), ..claims() });
        let (message, footer) = token.rsplit_once('.').unwrap();
        if (message.len() - "v4.public.".len()).is_multiple_of(4) {
            continue;
        }
        with_unused_bits += 1;
        let (head, last) = message.split_at(message.len() - 1);
        // In these alphabets the next character is the next value, and it ends in a one.
        let next = match last {
            "Z" => 'a',
            "z" => '0',
            "9" => '-',
            _ => char::from(last.as_bytes()[0] + 1),
        };
        assert_eq!(verify_at(&format!("{head}{next}.{footer}"), noon()), Err(Malformed), "{length}");
    }
    assert_eq!(with_unused_bits, 2);
}

#[test]
fn no_single_changed_or_missing_character_goes_unnoticed() {
    let token = issue(&claims());
    assert!(verify_at(&token, noon()).is_ok());
    for at in 0..token.len() {
        assert!(verify_at(&token[..at], noon()).is_err(), "cut at {at}");
        for character in [b'A', b'B', b'_', b'.', b'='] {
            let mut bytes = token.clone().into_bytes();
            if bytes[at] == character {
                continue;
            }
            bytes[at] = character;
            let text = String::from_utf8(bytes).unwrap();
            assert!(verify_at(&text, noon()).is_err(), "{at}: {}", char::from(character));
        }
    }
}

#[test]
fn no_kind_of_credential_passes_for_another() {
    let ring = ring();
    let refresh_context = RefreshContext {
        environment: Environment::Sandbox,
        issuer: context().issuer().to_owned(),
        generation: 1,
    };
    let parts = RefreshParts {
        session: claims().session,
        counter: 7,
        issued_at: noon(),
        key: ring.active(noon()).mac_key_id(),
    };
    let access = issue(&claims());
    let refresh = refresh_token::seal(&parts, &ring, &refresh_context).unwrap();
    let api_key = ApiKey::generate(Environment::Sandbox, &SystemRandom::new()).unwrap();
    let credentials = [access.as_str(), refresh.expose(), api_key.expose()];
    let doors = credentials.map(|text| {
        [
            verify_at(text, noon()).is_ok(),
            refresh_token::open(text, &ring, &refresh_context).is_ok(),
            ApiKeyRef::parse(text).is_ok(),
        ]
    });
    assert_eq!(doors, [[true, false, false], [false, true, false], [false, false, true]]);
}

#[test]
fn debugging_a_token_tells_nothing() {
    let token = access_token::issue(&claims(), ring().active(noon()), &context()).unwrap();
    assert_eq!(format!("{token:?}"), "AccessToken([REDACTED])");
}

fn any_claims() -> impl Strategy<Value = AccessClaims> {
    let permissions = prop::sample::subsequence(Permission::ALL.to_vec(), 0..=4);
    let end = noon().unix_seconds() + 1..Timestamp::MAX.unix_seconds();
    (any::<i64>(), "\\PC{0,64}", any::<u128>(), any::<u128>(), any::<u64>(), permissions, end).prop_map(
        |(subject, username, token_id, session, refresh_counter, permissions, end)| AccessClaims {
            subject: UserId(subject),
            username,
            token_id: Uuid::from_u128(token_id),
            issued_at: noon(),
            expires_at: Timestamp::from_unix_seconds(end),
            session: SessionId(Uuid::from_u128(session)),
            refresh_counter,
            permissions: permissions.into_iter().collect(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_token_that_is_issued_is_read_back(claims in any_claims()) {
        let verified = verify_at(&issue(&claims), noon()).unwrap();
        prop_assert_eq!(verified, VerifiedAccessToken { claims, kid: KID.parse().unwrap() });
    }

    #[test]
    fn every_changed_byte_of_the_signed_bytes_is_noticed(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let token = issue(&claims());
        let parts: Vec<&str> = token.split('.').collect();
        let mut message = BASE64_URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        let at = at.index(message.len());
        message[at] ^= flip;
        let text = format!("v4.public.{}.{}", BASE64_URL_SAFE_NO_PAD.encode(message), parts[3]);
        prop_assert_eq!(verify_at(&text, noon()), Err(Forged));
    }

    #[test]
    fn a_longer_token_is_refused(more in "[A-Za-z0-9_.=-]{1,8}") {
        prop_assert!(verify_at(&(issue(&claims()) + &more), noon()).is_err());
    }

    #[test]
    fn arbitrary_text_is_refused_without_panicking(text in "(v4\\.public\\.)?\\PC{0,200}") {
        prop_assert!(verify_at(&text, noon()).is_err());
    }
}
