//! Pages of long lists: `?older=` or `?newer=` with the identifier beside which the page lies.
//!
//! It is no secret and opens nothing: lists hold what is the merchant's, whatever they lie beside.

use std::fmt::Display;
use std::str::FromStr;

use cryptopay_domain::page::{Direction, PageLimit, Position};
use cryptopay_domain::{Page, PageRequest};

use crate::form::Form;

/// The ways to the pages beside this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pager {
    pub(crate) newer: Option<String>,
    pub(crate) older: Option<String>,
}

/// What a query asks of a list; the newest items when it asks for nothing that could be.
pub(crate) fn read<Id: FromStr>(query: &Form) -> PageRequest<Id> {
    let asked = |name, direction| query.text(name).parse().ok().map(|beside| Position { beside, direction });
    let position = asked("older", Direction::Older).or_else(|| asked("newer", Direction::Newer));
    PageRequest { position, ..PageRequest { limit: Default::default(), position: None } }
}

/// The newest items, as many as there may be on one page.
pub(crate) fn most<Id>() -> PageRequest<Id> {
    PageRequest { limit: limit(100), position: None }
}

/// At most so many items, 1 to 100.
pub(crate) fn limit(items: i64) -> PageLimit {
    PageLimit::new(items).unwrap_or_default()
}

impl Pager {
    /// Of a page of the list at `path`.
    pub(crate) fn of<Item, Id: Display>(path: &str, page: &Page<Item, Id>) -> Self {
        let way = |name, position: &Option<Position<Id>>| {
            position.as_ref().map(|position| format!("{path}?{name}={}", position.beside))
        };
        Self { newer: way("newer", &page.previous), older: way("older", &page.next) }
    }

    /// Whether the list is longer than the page.
    pub(crate) const fn is_needed(&self) -> bool {
        self.newer.is_some() || self.older.is_some()
    }
}
