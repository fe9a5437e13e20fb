//! The official test vectors of PASETO v4 and PASERK k4, from the repository paseto-standard/test-vectors.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, though the lint does not see it")]

use cryptopay_domain::{Environment, Timestamp};
use cryptopay_token::{
    AccessTokenError, EncryptionKey, EncryptionKeyError, KeyRing, SigningKey, SigningKeyError, TokenContext,
    access_token,
};
use pasetors::keys::{AsymmetricPublicKey, AsymmetricSecretKey, SymmetricKey};
use pasetors::paserk::{FormatAsPaserk, Id};
use pasetors::token::{Public, UntrustedToken};
use pasetors::version4::{PublicToken, V4};
use secrecy::ExposeSecret;
use serde::Deserialize;

#[derive(Deserialize)]
struct VectorFile<T> {
    tests: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PasetoVector {
    name: String,
    expect_fail: bool,
    secret_key: Option<String>,
    token: String,
    payload: Option<String>,
    footer: String,
    implicit_assertion: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PaserkVector {
    name: String,
    expect_fail: bool,
    key: Option<String>,
    paserk: Option<String>,
    public_key: Option<String>,
}

impl PaserkVector {
    fn key_bytes(&self) -> Vec<u8> {
        from_hex(self.key.as_ref().unwrap())
    }
}

fn paseto_vectors() -> Vec<PasetoVector> {
    let file: VectorFile<_> = serde_json::from_str(include_str!("vectors/paseto-v4.json")).unwrap();
    file.tests
}

fn paserk_vectors(text: &str) -> Vec<PaserkVector> {
    serde_json::from_str::<VectorFile<_>>(text).unwrap().tests
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = |index| u8::from_str_radix(&text[index..index + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

fn paserk(key: &impl FormatAsPaserk) -> String {
    let mut text = String::new();
    key.fmt(&mut text).unwrap();
    text
}

/// The key of all `4-S` vectors, brought in by way of our own type.
fn vector_key(vector: &PasetoVector) -> SigningKey {
    let bytes = from_hex(vector.secret_key.as_ref().unwrap());
    SigningKey::from_paserk(&paserk(&AsymmetricSecretKey::<V4>::from(&bytes).unwrap())).unwrap()
}

fn optional(text: &str) -> Option<&[u8]> {
    (!text.is_empty()).then_some(text.as_bytes())
}

#[test]
fn the_signed_tokens_of_paseto_v4_are_made_and_verified() {
    let vectors = paseto_vectors();
    let signed: Vec<_> = vectors.iter().filter(|vector| vector.name.starts_with("4-S-")).collect();
    assert_eq!(signed.len(), 3);
    for vector in signed {
        assert!(!vector.expect_fail);
        let key = vector_key(vector);
        let payload = vector.payload.as_ref().unwrap();
        let (footer, assertion) = (optional(&vector.footer), Some(vector.implicit_assertion.as_bytes()));

        let secret = AsymmetricSecretKey::<V4>::try_from(key.to_paserk().expose_secret()).unwrap();
        let made = PublicToken::sign(&secret, payload.as_bytes(), footer, assertion).unwrap();
        assert_eq!(made, vector.token, "{}", vector.name);

        let public = AsymmetricPublicKey::<V4>::try_from(key.public_paserk()).unwrap();
        let token = UntrustedToken::<Public, V4>::try_from(vector.token.as_str()).unwrap();
        let trusted = PublicToken::verify(&public, &token, footer, assertion).unwrap();
        assert_eq!(trusted.payload(), payload, "{}", vector.name);
        assert!(PublicToken::verify(&public, &token, footer, Some(b"another")).is_err(), "{}", vector.name);
    }
}

#[test]
fn the_tokens_that_must_fail_do_fail() {
    let vectors = paseto_vectors();
    let signer = vector_key(vectors.iter().find(|vector| vector.secret_key.is_some()).unwrap());
    let public = AsymmetricPublicKey::<V4>::try_from(signer.public_paserk()).unwrap();
    let failing: Vec<_> = vectors.iter().filter(|vector| vector.expect_fail).collect();
    assert_eq!(failing.len(), 5);
    for vector in failing {
        let verified = UntrustedToken::<Public, V4>::try_from(vector.token.as_str()).and_then(|token| {
            let footer = optional(&vector.footer);
            PublicToken::verify(&public, &token, footer, Some(vector.implicit_assertion.as_bytes()))
        });
        assert!(verified.is_err(), "{}", vector.name);
    }
}

#[test]
fn no_token_of_the_vectors_is_an_access_token() {
    let vectors = paseto_vectors();
    assert_eq!(vectors.len(), 17);
    let signer = vector_key(vectors.iter().find(|vector| vector.secret_key.is_some()).unwrap());
    let ring = KeyRing::fixed(vec![signer]).unwrap();
    let context = TokenContext::new("https://api.example.com", Environment::Sandbox);
    let now = Timestamp::parse("2021-12-31T00:00:00Z").unwrap();
    for vector in vectors {
        let refused = access_token::verify(&vector.token, &ring, &context, now).unwrap_err();
        let expected = match vector.name.as_str() {
            // Signed, without a footer.
            "4-S-1" => AccessTokenError::Footer,
            // Signed, with a footer that names a key of another kind.
            "4-S-2" | "4-S-3" | "4-F-2" => AccessTokenError::UnknownKey,
            // `v4.local`, `v3.local`, padded.
            _ => AccessTokenError::Malformed,
        };
        assert_eq!(refused, expected, "{}", vector.name);
    }
}

#[test]
fn secret_keys_are_read_and_written_as_paserk_k4_secret() {
    for vector in paserk_vectors(include_str!("vectors/paserk-k4.secret.json")) {
        let Some(text) = &vector.paserk else {
            // No text exists for these: their bytes must not pass for a key of this version.
            assert!(vector.expect_fail && vector.key_bytes().len() != 64, "{}", vector.name);
            continue;
        };
        let read = SigningKey::from_paserk(text);
        if vector.name == "k4.secret-1" {
            // The seed of zeros is a fine test of an encoding and no secret.
            assert_eq!(read.unwrap_err(), SigningKeyError::ZeroSeed);
            continue;
        }
        let key = read.unwrap();
        assert_eq!(key.to_paserk().expose_secret(), text, "{}", vector.name);
        let public = AsymmetricPublicKey::<V4>::from(&from_hex(vector.public_key.as_ref().unwrap())).unwrap();
        assert_eq!(key.public_paserk(), paserk(&public), "{}", vector.name);
        assert_eq!(key.kid().as_str(), paserk(&Id::from(&public)), "{}", vector.name);
    }
}

#[test]
fn public_keys_are_written_as_paserk_k4_public() {
    for vector in paserk_vectors(include_str!("vectors/paserk-k4.public.json")) {
        let public = AsymmetricPublicKey::<V4>::from(&vector.key_bytes());
        assert_eq!(public.is_err(), vector.expect_fail, "{}", vector.name);
        assert_eq!(public.ok().map(|public| paserk(&public)), vector.paserk, "{}", vector.name);
    }
}

#[test]
fn public_keys_are_named_by_paserk_k4_pid() {
    for vector in paserk_vectors(include_str!("vectors/paserk-k4.pid.json")) {
        let public = AsymmetricPublicKey::<V4>::from(&vector.key_bytes());
        assert_eq!(public.is_err(), vector.expect_fail, "{}", vector.name);
        let name = public.ok().map(|public| paserk(&Id::from(&public)));
        assert_eq!(name, vector.paserk, "{}", vector.name);
        if let Some(name) = name {
            assert_eq!(name.parse::<cryptopay_token::KeyId>().unwrap().as_str(), name);
        }
    }
}

#[test]
fn encryption_keys_are_read_and_written_as_paserk_k4_local() {
    for vector in paserk_vectors(include_str!("vectors/paserk-k4.local.json")) {
        let text = vector.paserk.as_ref().unwrap();
        let read = EncryptionKey::from_paserk(text);
        match vector.name.as_str() {
            // The key of zeros is a fine test of an encoding and no secret.
            "k4.local-1" => assert_eq!(read.unwrap_err(), EncryptionKeyError::ZeroKey),
            _ if vector.expect_fail => assert_eq!(read.unwrap_err(), EncryptionKeyError::Format),
            name => assert_eq!(read.unwrap().to_paserk().expose_secret(), text, "{name}"),
        }
    }
}

#[test]
fn encryption_keys_are_named_by_paserk_k4_lid() {
    let vectors = paserk_vectors(include_str!("vectors/paserk-k4.lid.json"));
    let named = vectors.iter().filter(|vector| !vector.expect_fail && vector.name != "k4.lid-1");
    let mut count = 0;
    for vector in named {
        let local = paserk(&SymmetricKey::<V4>::from(&vector.key_bytes()).unwrap());
        let key = EncryptionKey::from_paserk(&local).unwrap();
        assert_eq!(Some(key.id().as_str()), vector.paserk.as_deref(), "{}", vector.name);
        count += 1;
    }
    assert_eq!(count, 2);
}
