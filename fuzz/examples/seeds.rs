//! Writes the inputs of the corpora that only a server can make: `cargo run -p cryptopay-fuzz --example seeds`.
//!
//! To be run again when the form of a token changes.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use cryptopay_domain::{PermissionSet, SessionId, UserId};
use cryptopay_fuzz::access_claims::signed;
use cryptopay_fuzz::installation::{
    ENCRYPTION_RING, KEY_RING, REFRESH_CONTEXT, SEALED_FOR, TOKEN_CONTEXT, now,
};
use cryptopay_fuzz::sealed_secret::GENUINE;
use cryptopay_token::{AccessClaims, RefreshParts, access_token, refresh_token};
use ring::rand::SystemRandom;
use uuid::Uuid;

const CLAIMS: &str = r#"{"iss":"https://auth.example.com","sub":"123","username":"your-username","aud":"cryptopay-api:sandbox","jti":"00000000000000000000000000000001","iat":"2024-01-02T12:00:00Z","nbf":"2024-01-02T12:00:00Z","exp":"2024-01-03T12:00:00Z","sid":"00000000000000000000000000000002","rc":0,"perms":["full_access"]}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let key = KEY_RING.active(now());
    let session = SessionId(Uuid::from_u128(2));
    let claims = AccessClaims {
        subject: UserId(123),
        username: "your-username".to_owned(),
        token_id: Uuid::from_u128(1),
        issued_at: now(),
        expires_at: now().after(Duration::from_secs(86_400)),
        session,
        refresh_counter: 0,
        permissions: PermissionSet::FULL,
    };
    let token = access_token::issue(&claims, key, &TOKEN_CONTEXT)?;
    write("access_token/valid", token.expose())?;
    let ended = AccessClaims { expires_at: now(), ..claims };
    write("access_token/ended", access_token::issue(&ended, key, &TOKEN_CONTEXT)?.expose())?;
    write("access_token/without_claims", signed(b"{}"))?;
    write("access_claims/valid", CLAIMS)?;

    let parts = RefreshParts { session, counter: 3, issued_at: now(), key: key.mac_key_id() };
    write("refresh_token/valid", refresh_token::seal(&parts, &KEY_RING, &REFRESH_CONTEXT)?.expose())?;
    write("sealed_secret/valid", ENCRYPTION_RING.seal(SEALED_FOR, GENUINE, &SystemRandom::new())?)?;
    Ok(())
}

fn write(file: &str, contents: impl AsRef<[u8]>) -> std::io::Result<()> {
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(file), contents)
}
