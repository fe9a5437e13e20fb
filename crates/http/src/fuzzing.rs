//! The parsers of what strangers send, for the fuzz targets in `fuzz/` and nobody else. Nothing is promised about what
//! stands here, and nothing is here unless the feature `fuzzing` is on.
//!
//! Architecture invariant: there is no parsing here. Each function hands its bytes to the one that serves requests.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use cryptopay_domain::ClientAddress;
use ipnet::IpNet;
use zeroize::Zeroizing;

use crate::body::{self, BodyBytes};
use crate::error::ApiError;
use crate::fields::{FieldProblems, FromFields};
use crate::{
    api_key, authority, client_address, cursor, delivery, json_object, login, password, payment_order,
    profile, register, token, webhook_endpoint,
};

/// A route's reading of its body; the error is the answer's JSON.
pub type ReadBody = fn(&[u8]) -> Result<(), Vec<u8>>;

/// Every body that a route reads, by what it asks for. New ones come last: kept inputs pick theirs by position.
pub const BODIES: &[(&str, ReadBody)] = &[
    ("register", read::<register::Registration>),
    ("login", read::<login::Credentials>),
    ("refresh", read::<token::Spent>),
    ("profile change", read::<profile::NewShopName>),
    ("password change", read::<password::Change>),
    ("API key", read::<api_key::request::Creation>),
    ("API key change", read::<api_key::request::Change>),
    ("API key rotation", read::<api_key::request::Rotation>),
    ("payment order", read::<payment_order::request::Creation>),
    ("simulation", read::<payment_order::request::Simulation>),
    ("webhook endpoint", read::<webhook_endpoint::request::Creation>),
    ("webhook endpoint change", read::<webhook_endpoint::request::Change>),
    ("secret rotation", read::<webhook_endpoint::request::Rotation>),
    ("diagnosis", read::<delivery::request::Computed>),
];

/// The members of a body that is one JSON object, each with its text.
///
/// # Errors
/// What is told to its sender.
pub fn json_members(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let members = json_object::parse(bytes).map_err(String::from)?;
    Ok(members.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect())
}

/// Whether HTTP allows a header to have this value; if not, no request with it gets past the HTTP library.
#[must_use]
pub fn is_header_value(line: &[u8]) -> bool {
    HeaderValue::from_bytes(line).is_ok()
}

/// The bearer credential of a request with these `Authorization` headers.
///
/// # Errors
/// The refusal.
pub fn bearer_credential(lines: &[&[u8]]) -> Result<String, ApiError> {
    let headers = lines.iter().map(|line| (header::AUTHORIZATION, *line));
    authority::bearer(&header_map(headers)).map(str::to_owned)
}

/// The client of a request from `peer` with these headers, whose names are in lower case.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &[(&'static str, &[u8])], trusted_proxies: &[IpNet]) -> IpAddr {
    let headers = headers.iter().map(|(name, line)| (HeaderName::from_static(name), *line));
    let peer = SocketAddr::new(peer, 443);
    let client: ClientAddress = client_address::resolve(Some(peer), &header_map(headers), trusted_proxies);
    client.ip()
}

/// A cursor of one merchant's list, read and written again; `None` when it is none.
#[must_use]
pub fn cursor_again(cursor: &str) -> Option<String> {
    cursor::again(1, cursor)
}

/// The same for the list of another merchant.
#[must_use]
pub fn cursor_again_elsewhere(cursor: &str) -> Option<String> {
    cursor::again(2, cursor)
}

/// The cursor of a list's query, read and written again; `None` when the query is refused, empty when it has no cursor.
#[must_use]
pub fn page_again(query: &str) -> Option<String> {
    cursor::page_again(1, query)
}

fn header_map<'a>(lines: impl Iterator<Item = (HeaderName, &'a [u8])>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, line) in lines {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    headers
}

fn read<T: FromFields>(bytes: &[u8]) -> Result<(), Vec<u8>> {
    let bytes = (!bytes.is_empty()).then(|| BodyBytes(Zeroizing::new(bytes.to_vec())));
    match body::parse::<T>(bytes.as_ref(), FieldProblems::default()) {
        Ok(_) => Ok(()),
        Err(refusal) => Err(serde_json::to_vec(&refusal.to_body()).unwrap_or_default()),
    }
}
