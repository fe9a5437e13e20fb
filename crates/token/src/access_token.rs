//! Access tokens: PASETO `v4.public` with typed claims.
//!
//! - payload: `iss, sub, username, aud, jti, iat, nbf, exp, sid, rc, perms`, the registered ones as PASETO has them;
//! - footer: `{"kid":"k4.pid.…"}`, which picks the key and, like everything else, is under the signature;
//! - implicit assertion: kind of token and environment, so that a token of one can never pass for another.
//!
//! Signing and verifying are pasetors' byte-level functions. Its claims are not used, because they read the system
//! clock and know no leeway; nor is its footer, whose parsing costs more than the signature.

use std::borrow::Cow;
use std::fmt;

use cryptopay_domain::{Environment, Permission, PermissionSet, SessionId, Timestamp, UserId};
use pasetors::token::{Public, UntrustedToken};
use pasetors::version4::{PublicToken, V4};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{CLOCK_LEEWAY, KeyId, KeyRing, SigningKey};

/// Longest token that is made or looked at, in bytes: five times a usual one.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// What every access token of an installation is bound to.
#[derive(Clone, Debug)]
pub struct TokenContext {
    issuer: String,
    environment: Environment,
    audience: String,
    implicit_assertion: String,
}

impl TokenContext {
    /// The context of the installation at `issuer`, its public URL.
    #[must_use]
    pub fn new(issuer: impl Into<String>, environment: Environment) -> Self {
        Self {
            issuer: issuer.into(),
            environment,
            audience: format!("cryptopay-api:{environment}"),
            implicit_assertion: format!("cryptopay:access-token:v1:{environment}"),
        }
    }

    /// The claim `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The environment whose tokens these are.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The claim `aud`: `cryptopay-api:sandbox` or `cryptopay-api:production`.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// What is signed along without being in the token: `cryptopay:access-token:v1:` and the environment.
    #[must_use]
    pub fn implicit_assertion(&self) -> &str {
        &self.implicit_assertion
    }
}

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Whose it is (`sub`).
    pub subject: UserId,
    /// Their name, which never changes, so that checking a token needs no query (`username`).
    pub username: String,
    /// Names this very token (`jti`).
    pub token_id: Uuid,
    /// When it was issued, whole seconds; a fraction is dropped (`iat`, `nbf`).
    pub issued_at: Timestamp,
    /// The first moment at which it no longer counts, whole seconds; a fraction is dropped (`exp`).
    pub expires_at: Timestamp,
    /// The login session it belongs to (`sid`).
    pub session: SessionId,
    /// The counter of the refresh token issued together with it (`rc`).
    pub refresh_counter: u64,
    /// What it opens (`perms`).
    pub permissions: PermissionSet,
}

impl AccessClaims {
    /// Whether its end has come by `now`. It is exact, to the moment.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }
}

/// An access token: whoever holds it acts as its subject.
pub struct AccessToken(SecretString);

impl AccessToken {
    /// The token itself, for the one answer that carries it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken([REDACTED])")
    }
}

/// An access token that counts, as of the moment it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedAccessToken {
    /// What it says.
    pub claims: AccessClaims,
    /// The key it was signed with; when that leaves the ring, a remembered token no longer counts.
    pub kid: KeyId,
}

/// Why an access token cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// Issuer or username are absurdly long.
    #[error("would be longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// The key could not sign, or the claims could not be written.
    #[error("could not be signed")]
    Signing,
}

/// Why text is no access token that counts. For logs: a caller never learns which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// Longer than any token that is made here.
    #[error("is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// Another kind of credential, another version or purpose of PASETO, damaged, or not canonical base64url.
    #[error("is no v4.public token")]
    Malformed,
    /// Without a footer that names a key.
    #[error("has no footer that names a key")]
    Footer,
    /// Its key is unknown or was withdrawn.
    #[error("was signed with a key that is not in the ring")]
    UnknownKey,
    /// Forged, altered, or of another kind or environment.
    #[error("has a wrong signature")]
    Forged,
    /// Signed by a key of the ring, but without the claims an access token has.
    #[error("has other claims than an access token")]
    Claims,
    /// Of another installation.
    #[error("was made by another issuer")]
    Issuer,
    /// Meant for another service.
    #[error("is meant for another audience")]
    Audience,
    /// Issued in the future, beyond what clocks may differ by.
    #[error("does not count yet")]
    NotYetValid,
    /// Past its end.
    #[error("has expired")]
    Expired,
}

/// Signs an access token that says `claims`.
///
/// # Errors
/// [`IssueError`] when it would be longer than [`MAX_TOKEN_BYTES`].
pub fn issue(
    claims: &AccessClaims,
    key: &SigningKey,
    context: &TokenContext,
) -> Result<AccessToken, IssueError> {
    let payload = serde_json::to_vec(&WireClaims::of(claims, context)).map_err(|_| IssueError::Signing)?;
    let footer = serde_json::to_vec(&Footer { kid: key.kid().as_str() }).map_err(|_| IssueError::Signing)?;
    let assertion = context.implicit_assertion.as_bytes();
    let token = PublicToken::sign(key.secret(), &payload, Some(&footer), Some(assertion))
        .map_err(|_| IssueError::Signing)?;
    if token.len() > MAX_TOKEN_BYTES {
        return Err(IssueError::TooLong);
    }
    Ok(AccessToken(SecretString::from(token)))
}

/// Checks an access token: form, key, signature, issuer, audience, and time.
///
/// `exp` is exact. `nbf` and `iat` may lie ahead by [`CLOCK_LEEWAY`], since another replica may have issued it. Whether
/// it was revoked is for the caller to say.
///
/// # Errors
/// [`AccessTokenError`] names the first rule that is broken.
pub fn verify(
    text: &str,
    ring: &KeyRing,
    context: &TokenContext,
    now: Timestamp,
) -> Result<VerifiedAccessToken, AccessTokenError> {
    let token = verify_expired_or_not(text, ring, context, now)?;
    if token.claims.has_expired(now) { Err(AccessTokenError::Expired) } else { Ok(token) }
}

/// Checks an access token in everything but its end: that it was presented may matter, though it opens nothing.
///
/// # Errors
/// [`AccessTokenError`] names the first rule that is broken; it is never [`AccessTokenError::Expired`].
pub fn verify_expired_or_not(
    text: &str,
    ring: &KeyRing,
    context: &TokenContext,
    now: Timestamp,
) -> Result<VerifiedAccessToken, AccessTokenError> {
    if text.len() > MAX_TOKEN_BYTES {
        return Err(AccessTokenError::TooLong);
    }
    let token = UntrustedToken::<Public, V4>::try_from(text).map_err(|_| AccessTokenError::Malformed)?;
    let footer: Footer<'_> =
        serde_json::from_slice(token.untrusted_footer()).map_err(|_| AccessTokenError::Footer)?;
    let key = ring.find(footer.kid).ok_or(AccessTokenError::UnknownKey)?;
    let assertion = context.implicit_assertion.as_bytes();
    let trusted = PublicToken::verify(key.public(), &token, None, Some(assertion))
        .map_err(|_| AccessTokenError::Forged)?;
    let wire: WireClaims<'_> =
        serde_json::from_str(trusted.payload()).map_err(|_| AccessTokenError::Claims)?;
    Ok(VerifiedAccessToken { claims: wire.accept(context, now)?, kid: key.kid().clone() })
}

/// The footer: this and nothing else.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer<'a> {
    kid: &'a str,
}

/// The payload. Unknown claims are let pass, so that replicas can be upgraded one by one.
#[derive(Serialize, Deserialize)]
struct WireClaims<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    sub: Cow<'a, str>,
    username: Cow<'a, str>,
    aud: Cow<'a, str>,
    jti: Cow<'a, str>,
    iat: Cow<'a, str>,
    nbf: Cow<'a, str>,
    exp: Cow<'a, str>,
    sid: Cow<'a, str>,
    rc: u64,
    perms: Vec<&'a str>,
}

impl<'a> WireClaims<'a> {
    fn of(claims: &'a AccessClaims, context: &'a TokenContext) -> Self {
        let issued_at = claims.issued_at.to_string();
        Self {
            iss: Cow::Borrowed(&context.issuer),
            sub: claims.subject.to_string().into(),
            username: Cow::Borrowed(&claims.username),
            aud: Cow::Borrowed(&context.audience),
            jti: claims.token_id.as_simple().to_string().into(),
            nbf: issued_at.clone().into(),
            iat: issued_at.into(),
            exp: claims.expires_at.to_string().into(),
            sid: claims.session.to_string().into(),
            rc: claims.refresh_counter,
            perms: claims.permissions.iter().map(Permission::as_str).collect(),
        }
    }

    fn accept(self, context: &TokenContext, now: Timestamp) -> Result<AccessClaims, AccessTokenError> {
        if self.iss != context.issuer {
            return Err(AccessTokenError::Issuer);
        }
        if self.aud != context.audience {
            return Err(AccessTokenError::Audience);
        }
        let not_before = parse_moment(&self.nbf)?;
        let issued_at = parse_moment(&self.iat)?;
        let expires_at = parse_moment(&self.exp)?;
        if not_before.max(issued_at) > now.after(CLOCK_LEEWAY) {
            return Err(AccessTokenError::NotYetValid);
        }
        let permissions: Result<PermissionSet, _> = self.perms.iter().map(|name| name.parse()).collect();
        Ok(AccessClaims {
            subject: UserId(self.sub.parse().map_err(|_| AccessTokenError::Claims)?),
            username: self.username.into_owned(),
            token_id: Uuid::try_parse(&self.jti).map_err(|_| AccessTokenError::Claims)?,
            issued_at,
            expires_at,
            session: self.sid.parse().map_err(|_| AccessTokenError::Claims)?,
            refresh_counter: self.rc,
            permissions: permissions.map_err(|_| AccessTokenError::Claims)?,
        })
    }
}

fn parse_moment(text: &str) -> Result<Timestamp, AccessTokenError> {
    Timestamp::parse(text).map_err(|_| AccessTokenError::Claims)
}
