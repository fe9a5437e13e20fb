//! Who may use a route, and reading the credential that proves it.

use actix_web::http::header::{self, HeaderMap};
use cryptopay_auth::{Auth, AuthenticationRejection, Principal};
use cryptopay_domain::Permission;

use crate::error::{ApiError, Challenge};

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    /// Whoever calls.
    Anyone,
    /// Whoever has a valid credential, whatever it opens. If the query asks about a permission, it must
    /// open that too.
    AnyCredential,
    /// A login: an access token, never an API key.
    Login,
    /// A credential with this permission.
    Permission(Permission),
}

impl Authority {
    /// Whether a route of this authority is protected by a bearer credential.
    pub(crate) const fn is_protected(self) -> bool {
        !matches!(self, Self::Anyone)
    }

    /// Decides whether `principal`, whose query asks about `asked`, may pass, and by which permission it does.
    pub(crate) fn judge(
        self,
        principal: &Principal,
        asked: Option<Permission>,
    ) -> Result<Option<Permission>, ApiError> {
        let needed = match self {
            Self::Login if principal.session().is_none() => return Err(ApiError::LoginRequired),
            Self::Anyone | Self::Login => None,
            Self::AnyCredential => asked,
            Self::Permission(permission) => Some(permission),
        };
        match needed {
            Some(permission) if !principal.allows(permission) => {
                Err(ApiError::InsufficientPermissions(permission))
            }
            _ => Ok(needed),
        }
    }
}

/// The bearer credential of a request (RFC 6750 §2.1): in the one `Authorization` header and nowhere else.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut lines = headers.get_all(header::AUTHORIZATION);
    let line = match (lines.next(), lines.next()) {
        (None, _) => return Err(ApiError::Unauthenticated(Challenge::Absent)),
        (Some(_), Some(_)) => return Err(ApiError::Unauthenticated(Challenge::Invalid)),
        (Some(only), None) => only.to_str().map_err(|_| ApiError::Unauthenticated(Challenge::Invalid))?,
    };
    let (scheme, credential) = line.split_once(' ').unwrap_or((line, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::Unauthenticated(Challenge::Absent));
    }
    let credential = credential.trim_matches(' ');
    if credential.is_empty() { Err(ApiError::Unauthenticated(Challenge::Invalid)) } else { Ok(credential) }
}

/// What a refused credential is told.
pub(crate) fn refusal(auth: &Auth, rejection: AuthenticationRejection) -> ApiError {
    ApiError::Unauthenticated(match rejection {
        AuthenticationRejection::Invalid => Challenge::Invalid,
        AuthenticationRejection::OtherEnvironment(key) => {
            Challenge::OtherEnvironment { key, server: auth.environment() }
        }
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use cryptopay_auth::Credential;
    use cryptopay_domain::{ApiKeyId, PermissionSet, SessionId, UserId};

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    #[test]
    fn the_scheme_is_read_without_regard_to_case() {
        for line in ["Bearer x.y", "bearer x.y", "BEARER x.y", "Bearer  x.y", "Bearer x.y "] {
            assert_eq!(bearer(&headers(&[line])), Ok("x.y"), "{line}");
        }
    }

    #[test]
    fn anything_but_one_bearer_credential_is_refused() {
        for (lines, challenge) in [
            (&[][..], Challenge::Absent),
            (&["Basic dXNlcjpwYXNz"], Challenge::Absent),
            (&[""], Challenge::Absent),
            (&["Bearerx"], Challenge::Absent),
            (&["Bearer"], Challenge::Invalid),
            (&["Bearer "], Challenge::Invalid),
            (&["Bearer \u{e4}"], Challenge::Invalid),
            (&["Bearer a", "Bearer a"], Challenge::Invalid),
            (&["Basic a", "Bearer a"], Challenge::Invalid),
        ] {
            assert_eq!(bearer(&headers(lines)), Err(ApiError::Unauthenticated(challenge)), "{lines:?}");
        }
    }

    fn principal(credential: Credential, permissions: PermissionSet) -> Principal {
        Principal {
            user_id: UserId(1),
            username: "alice".to_owned(),
            permissions,
            expires_at: None,
            credential,
        }
    }

    #[test]
    fn each_authority_lets_in_whom_it_names() {
        let session = SessionId("0193f1b2c3d4700089abcdef01234567".parse::<SessionId>().unwrap().0);
        let login = principal(Credential::AccessToken { session, refresh_counter: 0 }, PermissionSet::FULL);
        let key = |permissions: &[Permission]| {
            let credential = Credential::ApiKey { id: ApiKeyId(session.0), name: "key".to_owned() };
            principal(credential, permissions.iter().copied().collect())
        };
        let (full, reading) = (key(&[Permission::FullAccess]), key(&[Permission::Read]));
        let lacking = |permission| Err(ApiError::InsufficientPermissions(permission));

        assert_eq!(Authority::Login.judge(&login, None), Ok(None));
        assert_eq!(Authority::Login.judge(&full, None), Err(ApiError::LoginRequired));
        assert_eq!(Authority::AnyCredential.judge(&reading, None), Ok(None));
        let asked = Some(Permission::Read);
        assert_eq!(Authority::AnyCredential.judge(&reading, asked), Ok(asked));
        assert_eq!(
            Authority::AnyCredential.judge(&reading, Some(Permission::CreatePayments)),
            lacking(Permission::CreatePayments)
        );
        for permission in Permission::ALL {
            let authority = Authority::Permission(permission);
            assert_eq!(authority.judge(&login, None), Ok(Some(permission)));
            assert_eq!(authority.judge(&full, None), Ok(Some(permission)));
            let expected =
                if permission == Permission::Read { Ok(Some(permission)) } else { lacking(permission) };
            assert_eq!(authority.judge(&reading, None), expected);
        }
    }
}
