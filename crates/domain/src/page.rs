//! Pages of lists that are newest first and stay stable while rows are being added.

/// How many items a page holds: 1–100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit(u8);

/// A number that cannot be a page's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from 1 to 100")]
pub struct PageLimitError;

impl PageLimit {
    /// Checks a page size.
    ///
    /// # Errors
    /// [`PageLimitError`] outside 1–100.
    pub fn new(limit: i64) -> Result<Self, PageLimitError> {
        u8::try_from(limit).ok().filter(|limit| (1..=100).contains(limit)).map(Self).ok_or(PageLimitError)
    }

    /// The number of items.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(20)
    }
}

/// Which way a page lies from an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Items made before it: the next page.
    Older,
    /// Items made after it: the previous page.
    Newer,
}

/// Where a page starts: right beside an item of the page before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<Id> {
    /// The item that the page lies beside, itself not on the page.
    pub beside: Id,
    /// On which side of it.
    pub direction: Direction,
}

/// What a caller asks of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest<Id> {
    /// At most so many items.
    pub limit: PageLimit,
    /// From here; the newest items when absent.
    pub position: Option<Position<Id>>,
}

impl<Id> Default for PageRequest<Id> {
    fn default() -> Self {
        Self { limit: PageLimit::default(), position: None }
    }
}

/// One page, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<Item, Id> {
    /// The items, newest first.
    pub items: Vec<Item>,
    /// Where the next (older) page starts, if there is one.
    pub next: Option<Position<Id>>,
    /// Where the previous (newer) page starts, if there is one.
    pub previous: Option<Position<Id>>,
}

impl<Item, Id: Copy> Page<Item, Id> {
    /// Makes a page of what a store found: at most `limit + 1` items in the direction of travel, nearest
    /// first. The one too many only tells that the list goes on.
    #[must_use]
    pub fn from_found(mut found: Vec<Item>, request: &PageRequest<Id>, id_of: impl Fn(&Item) -> Id) -> Self {
        let goes_on = found.len() > request.limit.get();
        found.truncate(request.limit.get());
        let direction = request.position.as_ref().map(|position| position.direction);
        if direction == Some(Direction::Newer) {
            found.reverse();
        }
        let (has_older, has_newer) = match direction {
            None => (goes_on, false),
            Some(Direction::Older) => (goes_on, true),
            Some(Direction::Newer) => (true, goes_on),
        };
        // An empty page still lies beside the item it was asked from, so its way back is not lost.
        let asked_from = request.position.as_ref().map(|position| position.beside);
        let beside = |item: Option<&Item>, direction| {
            item.map(&id_of).or(asked_from).map(|beside| Position { beside, direction })
        };
        Self {
            next: has_older.then(|| beside(found.last(), Direction::Older)).flatten(),
            previous: has_newer.then(|| beside(found.first(), Direction::Newer)).flatten(),
            items: found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(limit: i64, position: Option<(u32, Direction)>) -> PageRequest<u32> {
        PageRequest {
            limit: PageLimit::new(limit).unwrap(),
            position: position.map(|(beside, direction)| Position { beside, direction }),
        }
    }

    /// What a store would find among the items 1..=newest.
    fn find(newest: u32, request: &PageRequest<u32>) -> Vec<u32> {
        let many = request.limit.get() + 1;
        match request.position {
            None => (1..=newest).rev().take(many).collect(),
            Some(Position { beside, direction: Direction::Older }) => (1..beside).rev().take(many).collect(),
            Some(Position { beside, direction: Direction::Newer }) => {
                (beside + 1..=newest).take(many).collect()
            }
        }
    }

    fn page(newest: u32, request: &PageRequest<u32>) -> Page<u32, u32> {
        Page::from_found(find(newest, request), request, |item| *item)
    }

    #[test]
    fn walking_forward_and_back_shows_every_item_once() {
        let first = page(5, &request(2, None));
        assert_eq!((first.items.as_slice(), first.previous), ([5, 4].as_slice(), None));
        let second = page(5, &PageRequest { position: first.next, ..request(2, None) });
        assert_eq!(second.items, [3, 2]);
        let third = page(5, &PageRequest { position: second.next, ..request(2, None) });
        assert_eq!((third.items.as_slice(), third.next), ([1].as_slice(), None));
        let back = page(5, &PageRequest { position: third.previous, ..request(2, None) });
        assert_eq!(back, second);
        let start = page(5, &PageRequest { position: back.previous, ..request(2, None) });
        assert_eq!((start.items.as_slice(), start.previous), ([5, 4].as_slice(), None));
    }

    #[test]
    fn rows_added_meanwhile_do_not_shift_the_next_page() {
        let first = page(5, &request(2, None));
        let second = page(9, &PageRequest { position: first.next, ..request(2, None) });
        assert_eq!(second.items, [3, 2]);
    }

    #[test]
    fn an_empty_list_has_no_neighbours_and_an_empty_page_leads_back() {
        assert_eq!(page(0, &request(2, None)), Page { items: vec![], next: None, previous: None });
        let past_the_end = page(5, &request(2, Some((1, Direction::Older))));
        assert_eq!(past_the_end.previous, Some(Position { beside: 1, direction: Direction::Newer }));
    }

    #[test]
    fn limits_outside_1_to_100_are_refused() {
        for wrong in [i64::MIN, -1, 0, 101, 357, i64::MAX] {
            assert_eq!(PageLimit::new(wrong), Err(PageLimitError), "{wrong}");
        }
        assert_eq!(PageLimit::new(100).map(PageLimit::get), Ok(100));
    }
}
