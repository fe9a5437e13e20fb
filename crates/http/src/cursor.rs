//! Pages of lists: `limit` and `cursor` in the query, `next` and `previous` in the answer.
//!
//! A cursor is opaque to clients and bound to merchant and list: it says beside which item a page lies, on
//! which side, in which list and whose; for a list that lies under an object, under which. It is no secret
//! and opens nothing: lists are filtered by the caller.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cryptopay_domain::page::{Direction, PageLimit, PageLimitError, Position};
use cryptopay_domain::{
    ApiKeyId, DeliveryId, Page, PageRequest, PaymentOrderId, SessionId, UserId, WebhookEndpointId,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::error::ApiError;
use crate::fields::FieldProblems;
use crate::query::Query;
use crate::request_facts::RequestFacts;

/// The form of cursors that is written today.
const VERSION: u8 = 1;
/// The bytes of an item's identifier, with which a cursor ends.
const ITEM: usize = 16;
/// Where the path of a list holds the object under which it lies.
const OBJECT: &str = "{id}";

/// The identifier of a listed thing, and which list it is.
pub(crate) trait Listed: Copy {
    /// Tells lists apart in cursors; never reused.
    const TAG: u8;
    /// The list's path; with `{id}` in it when the list lies under an object.
    const PATH: &'static str;

    /// The identifier's bytes.
    fn to_uuid(self) -> Uuid;
    /// The identifier of these bytes.
    fn from_uuid(uuid: Uuid) -> Self;
}

/// What a caller asks of the list of `Id`.
pub(crate) struct ListRequest<Id> {
    page: PageRequest<Id>,
    list: List,
}

/// Which list of those with the same tag it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct List {
    merchant: UserId,
    /// The object under which it lies. One that cannot be has no list, and no cursor is of that.
    object: Option<Uuid>,
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
            let cursor = self.list.encode(position);
            format!("{}?limit={}&cursor={cursor}", self.list.path::<Id>(), self.page.limit.get())
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
        let object = request.match_info().get("id").and_then(|id| Uuid::try_parse(id).ok());
        let list = List { merchant, object };
        let page = read_page(&Query::read(request.query_string()), list);
        ready(page.map(|page| Self { page, list }).map_err(ApiError::Validation))
    }
}

/// Makes identifiers those of lists.
macro_rules! listed {
    ($($id:ident, $tag:literal, $path:literal;)*) => {$(
        impl Listed for $id {
            const TAG: u8 = $tag;
            const PATH: &'static str = $path;

            fn to_uuid(self) -> Uuid {
                self.0
            }

            fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }
    )*};
}

listed! {
    SessionId, 1, "/api/auth/sessions";
    ApiKeyId, 2, "/api/auth/api-keys";
    PaymentOrderId, 3, "/api/payment-orders";
    WebhookEndpointId, 4, "/api/webhooks";
    DeliveryId, 5, "/api/webhooks/{id}/deliveries";
}

fn read_page<Id: Listed>(query: &Query, list: List) -> Result<PageRequest<Id>, FieldProblems> {
    let mut problems = FieldProblems::default();
    let limit = query.get("limit").map_or(Ok(PageLimit::default()), parse_limit);
    let limit = limit.map_err(|problem| problems.add("limit", problem.to_string())).unwrap_or_default();
    let position = query.get("cursor").and_then(|cursor| {
        let position = list.decode(cursor);
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

impl List {
    /// The list's own path.
    fn path<Id: Listed>(self) -> String {
        let object = self.object.map(|object| object.simple().to_string());
        Id::PATH.replace(OBJECT, object.as_deref().unwrap_or_default())
    }

    fn encode<Id: Listed>(self, position: Position<Id>) -> String {
        let direction = match position.direction {
            Direction::Older => 0,
            Direction::Newer => 1,
        };
        let mut bytes = vec![VERSION, Id::TAG, direction];
        bytes.extend(self.owner());
        bytes.extend_from_slice(position.beside.to_uuid().as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode<Id: Listed>(self, cursor: &str) -> Option<Position<Id>> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let [version, tag, direction, rest @ ..] = bytes.as_slice() else { return None };
        let (owner, item) = rest.split_last_chunk::<ITEM>()?;
        if *version != VERSION || *tag != Id::TAG || owner != self.owner() {
            return None;
        }
        let direction = match direction {
            0 => Direction::Older,
            1 => Direction::Newer,
            _ => return None,
        };
        Some(Position { beside: Id::from_uuid(Uuid::from_bytes(*item)), direction })
    }

    /// The bytes that tell this list from another one with the same tag.
    fn owner(self) -> Vec<u8> {
        let mut bytes = self.merchant.0.to_be_bytes().to_vec();
        bytes.extend(self.object.into_iter().flat_map(Uuid::into_bytes));
        bytes
    }
}

/// A cursor of a merchant's sessions, read and written again.
#[cfg(feature = "fuzzing")]
pub(crate) fn again(merchant: i64, cursor: &str) -> Option<String> {
    let list = List { merchant: UserId(merchant), object: None };
    list.decode::<SessionId>(cursor).map(|position| list.encode(position))
}

/// The cursor in the query of a merchant's sessions, read and written again; empty when there is none.
#[cfg(feature = "fuzzing")]
pub(crate) fn page_again(merchant: i64, query: &str) -> Option<String> {
    use crate::query::Parameters;

    let list = List { merchant: UserId(merchant), object: None };
    let query = Query::read(query);
    if !query.problems(Parameters::Only(&["limit", "cursor"])).is_empty() {
        return None;
    }
    let page = read_page::<SessionId>(&query, list).ok()?;
    Some(page.position.map(|position| list.encode(position)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALICE: List = List { merchant: UserId(1), object: None };
    const BOB: List = List { merchant: UserId(2), object: None };

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
        let cursor = ALICE.encode(position);
        assert_eq!(ALICE.decode(&cursor), Some(position));
        assert_eq!(BOB.decode::<ApiKeyId>(&cursor), None);
        assert_eq!(ALICE.decode::<SessionId>(&cursor), None);
    }

    #[test]
    fn a_cursor_of_another_objects_list_is_none() {
        let under = |object: Option<u128>| List { object: object.map(Uuid::from_u128), ..ALICE };
        let position = Position { beside: DeliveryId(Uuid::from_u128(7)), direction: Direction::Newer };
        let cursor = under(Some(1)).encode(position);
        assert_eq!(under(Some(1)).decode(&cursor), Some(position));
        for other in [under(Some(2)), under(None), List { merchant: BOB.merchant, ..under(Some(1)) }] {
            assert_eq!(other.decode::<DeliveryId>(&cursor), None);
        }
        let path = under(Some(1)).path::<DeliveryId>();
        assert_eq!(path, "/api/webhooks/00000000000000000000000000000001/deliveries");
    }

    #[test]
    fn a_page_tells_the_way_on_and_keeps_the_limit() {
        let limit = PageLimit::new(7).unwrap();
        let request = ListRequest { page: PageRequest { limit, position: None }, list: ALICE };
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
            let list = List { merchant: UserId(merchant), object: None };
            prop_assert_eq!(list.decode(&list.encode(position)), Some(position));
        }

        #[test]
        fn no_other_text_is_a_cursor(cursor in ".{0,60}") {
            if let Some(position) = ALICE.decode::<SessionId>(&cursor) {
                prop_assert_eq!(ALICE.encode(position), cursor);
            }
        }
    }
}
