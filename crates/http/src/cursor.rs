//! Pages of lists: `limit` and `cursor` in the query, `next` and `previous` in the answer.
//!
//! A cursor is opaque to clients and bound to merchant and list: it says beside which item a page lies, on
//! which side, in which list and whose. It is no secret and opens nothing: lists are filtered by the caller.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cryptopay_domain::page::{Direction, PageLimit, PageLimitError, Position};
use cryptopay_domain::{ApiKeyId, Page, PageRequest, SessionId, UserId};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::error::ApiError;
use crate::fields::FieldProblems;
use crate::query::Query;
use crate::request_facts::RequestFacts;

/// The form of cursors that is written today.
const VERSION: u8 = 1;
/// Version, list, direction, merchant, item.
const LENGTH: usize = 3 + 8 + 16;

/// The identifier of a listed thing, and which list it is.
pub(crate) trait Listed: Copy {
    /// Tells lists apart in cursors; never reused.
    const TAG: u8;
    /// The list's path.
    const PATH: &'static str;

    /// The identifier's bytes.
    fn to_uuid(self) -> Uuid;
    /// The identifier of these bytes.
    fn from_uuid(uuid: Uuid) -> Self;
}

/// What a caller asks of the list of `Id`.
pub(crate) struct ListRequest<Id> {
    page: PageRequest<Id>,
    merchant: UserId,
}

/// One page of a list, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListBody<T> {
    /// The items, newest first.
    results: Vec<T>,
    /// The path of the next, older page; null on the last one.
    #[schema(required, example = "/api/auth/api-keys?limit=20&cursor=AQIA…")]
    next: Option<String>,
    /// The path of the previous, newer page; null on the first one.
    #[schema(required, example = json!(null))]
    previous: Option<String>,
}

/// The query of a list, as the document shows it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes the parameters")]
pub(crate) struct PageParameters {
    /// How many items a page holds.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u8>,
    /// Where the page starts: taken from `next` or `previous` of another page, never made by hand.
    cursor: Option<String>,
}

impl<Id: Listed> ListRequest<Id> {
    /// What to ask the use case for.
    pub(crate) const fn page(&self) -> PageRequest<Id> {
        self.page
    }

    /// The answer's body.
    pub(crate) fn answer<Item, T>(&self, page: Page<Item, Id>, view: impl Fn(Item) -> T) -> ListBody<T> {
        let path = |position: Position<Id>| {
            let cursor = encode(self.merchant, position);
            format!("{}?limit={}&cursor={cursor}", Id::PATH, self.page.limit.get())
        };
        ListBody {
            next: page.next.map(path),
            previous: page.previous.map(path),
            results: page.items.into_iter().map(view).collect(),
        }
    }
}

impl<Id: Listed> FromRequest for ListRequest<Id> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let principal = extensions.get::<RequestFacts>().and_then(|facts| facts.principal.as_ref());
        let Some(merchant) = principal.map(|principal| principal.user_id) else {
            return ready(Err(ApiError::Internal));
        };
        let page = read_page(&Query::read(request.query_string()), merchant);
        ready(page.map(|page| Self { page, merchant }).map_err(ApiError::Validation))
    }
}

impl Listed for SessionId {
    const TAG: u8 = 1;
    const PATH: &'static str = "/api/auth/sessions";

    fn to_uuid(self) -> Uuid {
        self.0
    }

    fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl Listed for ApiKeyId {
    const TAG: u8 = 2;
    const PATH: &'static str = "/api/auth/api-keys";

    fn to_uuid(self) -> Uuid {
        self.0
    }

    fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

fn read_page<Id: Listed>(query: &Query, merchant: UserId) -> Result<PageRequest<Id>, FieldProblems> {
    let mut problems = FieldProblems::default();
    let limit = query.get("limit").map_or(Ok(PageLimit::default()), parse_limit);
    let limit = limit.map_err(|problem| problems.add("limit", problem.to_string())).unwrap_or_default();
    let position = query.get("cursor").and_then(|cursor| {
        let position = decode(cursor, merchant);
        if position.is_none() {
            problems.add("cursor", "is no cursor of this list; take one from its 'next' or 'previous'");
        }
        position
    });
    if problems.is_empty() { Ok(PageRequest { limit, position }) } else { Err(problems) }
}

/// Decimal digits alone: no sign, no blanks, no leading zero.
fn parse_limit(text: &str) -> Result<PageLimit, PageLimitError> {
    let is_number = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    PageLimit::new(if is_number { text.parse().unwrap_or(0) } else { 0 })
}

fn encode<Id: Listed>(merchant: UserId, position: Position<Id>) -> String {
    let direction = match position.direction {
        Direction::Older => 0,
        Direction::Newer => 1,
    };
    let mut bytes = Vec::with_capacity(LENGTH);
    bytes.extend_from_slice(&[VERSION, Id::TAG, direction]);
    bytes.extend_from_slice(&merchant.0.to_be_bytes());
    bytes.extend_from_slice(position.beside.to_uuid().as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode<Id: Listed>(cursor: &str, merchant: UserId) -> Option<Position<Id>> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let bytes = <[u8; LENGTH]>::try_from(bytes).ok()?;
    let [version, tag, direction, rest @ ..] = bytes;
    let (owner, item) = rest.split_at(8);
    if version != VERSION || tag != Id::TAG || owner != merchant.0.to_be_bytes() {
        return None;
    }
    let direction = match direction {
        0 => Direction::Older,
        1 => Direction::Newer,
        _ => return None,
    };
    Some(Position { beside: Id::from_uuid(Uuid::from_slice(item).ok()?), direction })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALICE: UserId = UserId(1);

    fn problem_names(query: &str) -> Vec<String> {
        let problems = read_page::<ApiKeyId>(&Query::read(query), ALICE).err().unwrap_or_default();
        problems.names().map(str::to_owned).collect()
    }

    #[test]
    fn limits_are_whole_numbers_from_1_to_100() {
        for good in ["limit=1", "limit=100", "limit=20", ""] {
            assert_eq!(problem_names(good), [""; 0], "{good}");
        }
        for bad in
            ["0", "101", "-1", "%2B1", "01", "1.0", "1e1", "", "%201", "1%20", "x", "99999999999999999999999"]
        {
            assert_eq!(problem_names(&format!("limit={bad}")), ["limit"], "{bad}");
        }
        assert_eq!(problem_names("limit=x&cursor=y"), ["cursor", "limit"]);
    }

    #[test]
    fn a_cursor_of_another_merchant_or_list_is_none() {
        let uuid = Uuid::from_u128(7);
        let position = Position { beside: ApiKeyId(uuid), direction: Direction::Older };
        let cursor = encode(ALICE, position);
        assert_eq!(decode(&cursor, ALICE), Some(position));
        assert_eq!(decode::<ApiKeyId>(&cursor, UserId(2)), None);
        assert_eq!(decode::<SessionId>(&cursor, ALICE), None);
    }

    #[test]
    fn a_page_tells_the_way_on_and_keeps_the_limit() {
        let limit = PageLimit::new(7).unwrap();
        let request = ListRequest { page: PageRequest { limit, position: None }, merchant: ALICE };
        let next = Position { beside: ApiKeyId(Uuid::from_u128(7)), direction: Direction::Older };
        let page = Page { items: vec![1, 2], next: Some(next), previous: None };
        let body = serde_json::to_value(request.answer(page, |item| item * 10)).unwrap();
        assert_eq!(body["results"], serde_json::json!([10, 20]));
        assert_eq!(body["previous"], serde_json::Value::Null);
        let query = body["next"].as_str().unwrap().strip_prefix("/api/auth/api-keys?").unwrap();
        let asked = read_page::<ApiKeyId>(&Query::read(query), ALICE).unwrap();
        assert_eq!((asked.limit, asked.position), (limit, Some(next)));
    }

    proptest! {
        #[test]
        fn every_position_survives_its_cursor(merchant: i64, item: u128, newer: bool) {
            let direction = if newer { Direction::Newer } else { Direction::Older };
            let position = Position { beside: SessionId(Uuid::from_u128(item)), direction };
            prop_assert_eq!(decode(&encode(UserId(merchant), position), UserId(merchant)), Some(position));
        }

        #[test]
        fn no_other_text_is_a_cursor(cursor in ".{0,60}") {
            if let Some(position) = decode::<SessionId>(&cursor, ALICE) {
                prop_assert_eq!(encode(ALICE, position), cursor);
            }
        }
    }
}
