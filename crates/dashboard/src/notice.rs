//! What the next page says of what was just done. It travels in a cookie under a MAC of the login's own: no secret,
//! nothing typed, and nobody else can put words there.

use actix_web::HttpResponse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::cookies::{Jar, SessionToken};
use crate::csrf;
use crate::visit::Held;

/// One of the things that can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Welcome,
    KeyRenamed,
    KeyNarrowed,
    KeyRevoked,
    EndpointChanged,
    EndpointEnabled,
    EndpointDisabled,
    EndpointDeleted,
    TestSent,
    DeliveryResent,
    OrderMovedOn,
    PasswordChanged,
    SessionEnded,
    OtherSessionsEnded,
}

impl Notice {
    const ALL: [(Self, &'static str, &'static str); 14] = [
        (Self::Welcome, "welcome", "Welcome! Your account is open."),
        (Self::KeyRenamed, "key-renamed", "The API key has its new name."),
        (Self::KeyNarrowed, "key-narrowed", "The API key has fewer permissions now. It holds at once."),
        (Self::KeyRevoked, "key-revoked", "The API key is revoked. It opens nothing any more."),
        (Self::EndpointChanged, "endpoint-changed", "The webhook endpoint is changed."),
        (
            Self::EndpointEnabled,
            "endpoint-enabled",
            "The webhook endpoint is enabled. It hears of what happens from now on.",
        ),
        (
            Self::EndpointDisabled,
            "endpoint-disabled",
            "The webhook endpoint is disabled. Nothing is sent to it.",
        ),
        (Self::EndpointDeleted, "endpoint-deleted", "The webhook endpoint is deleted, and its log with it."),
        (Self::TestSent, "test-sent", "A test event is on its way."),
        (
            Self::DeliveryResent,
            "delivery-resent",
            "It is on its way again: the same bytes under the same id.",
        ),
        (Self::OrderMovedOn, "order-moved-on", "The order has moved on."),
        (
            Self::PasswordChanged,
            "password-changed",
            "Your password is changed, and every other session has ended.",
        ),
        (Self::SessionEnded, "session-ended", "The session has ended."),
        (Self::OtherSessionsEnded, "other-sessions-ended", "All other sessions have ended."),
    ];

    /// What is shown.
    pub(crate) fn text(self) -> &'static str {
        Self::ALL.iter().find(|(notice, ..)| *notice == self).map_or("", |(.., text)| text)
    }

    /// The notice that a request brings along, if it was sent to this login.
    pub(crate) fn read(jar: &Jar, held: &Held) -> Option<Self> {
        let (code, tag) = jar.notice()?.split_once('.')?;
        let (notice, ..) = Self::ALL.iter().find(|(_, known, _)| *known == code)?;
        csrf::is_tag(held.token.expose(), &message(code), tag).then_some(*notice)
    }

    /// Sends it along to the next page of this login.
    pub(crate) fn send(self, jar: &Jar, token: &SessionToken, response: &mut HttpResponse) {
        let code = Self::ALL.iter().find(|(notice, ..)| *notice == self).map_or("", |(_, code, _)| code);
        jar.send_notice(response, &signed(token, code));
    }
}

fn signed(token: &SessionToken, code: &str) -> String {
    format!("{code}.{}", URL_SAFE_NO_PAD.encode(csrf::tag(token.expose(), &message(code))))
}

fn message(code: &str) -> Vec<u8> {
    format!("cryptopay notice v1 {code}").into_bytes()
}
