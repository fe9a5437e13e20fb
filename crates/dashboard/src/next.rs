//! Where a login leads back to: a page of the dashboard, never anywhere else.

use actix_web::HttpRequest;
use actix_web::http::{Method, header};

use crate::routes::HOME;

/// What nobody has to be led back to: the ways in and out.
const DOORS: [&str; 3] = ["/login", "/logout", "/register"];

/// The path of a page of the dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Next(String);

impl Next {
    /// A path under `/dashboard` without anything that could mean another host or another document; the first page
    /// for all else.
    pub(crate) fn parse(text: &str) -> Self {
        let is_plain = |rest: &str| {
            let mut bytes = rest.bytes();
            let begins_anew = rest.is_empty() || rest.starts_with('/');
            begins_anew && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte))
        };
        let is_door = |rest: &str| DOORS.iter().any(|door| rest.starts_with(door));
        match text.strip_prefix(HOME) {
            Some(rest) if is_plain(rest) && !rest.contains("//") && !is_door(rest) => Self(text.to_owned()),
            _ => Self(HOME.to_owned()),
        }
    }

    /// The page that a request is about: its own, or the one a form was sent from.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        if request.method() == Method::GET {
            return Self::parse(request.path());
        }
        let from = request.headers().get(header::REFERER).and_then(|referrer| referrer.to_str().ok());
        let from = from.and_then(|referrer| url::Url::parse(referrer).ok());
        Self::parse(from.as_ref().map_or(HOME, |url| url.path()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_home(&self) -> bool {
        self.0 == HOME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_dashboard_are_led_back_to() {
        for good in
            ["/dashboard", "/dashboard/settings/api-keys", "/dashboard/payment-orders/0193f1b2c3d4-7_0"]
        {
            assert_eq!(Next::parse(good).as_str(), good);
        }
        for bad in [
            "",
            "/",
            "//evil.example",
            "/dashboard//evil.example",
            "https://evil.example/dashboard",
            "/dashboard/../../evil",
            "/dashboard/%2e%2e/",
            "/dashboard\\@evil.example",
            "/dashboard@evil.example",
            "/dashboard.evil.example",
            "/dashboardevil",
            "/dashboard/x?next=y",
            "/dashboard/\r\nSet-Cookie: a=b",
            "/dashboard/login",
            "/dashboard/logout",
            "javascript:alert(1)",
            "\u{e4}",
            "/dashboar\u{e4}",
        ] {
            assert_eq!(Next::parse(bad).as_str(), HOME, "{bad}");
        }
    }
}
