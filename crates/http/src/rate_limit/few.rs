//! A list of at most three, without an allocation: what one request is counted against.

/// At most [`ROOM`] items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Few<T> {
    items: [Option<T>; ROOM],
}

/// How many items there may be. A test holds every budget against it.
pub(crate) const ROOM: usize = 3;

impl<T> Few<T> {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self { items: [const { None }; ROOM] }
    }

    /// Adds one behind the others. There is always room.
    pub(crate) fn push(&mut self, item: T) {
        if let Some(place) = self.items.iter_mut().find(|place| place.is_none()) {
            *place = Some(item);
        }
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flatten()
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.items[0].is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_kept_in_their_order() {
        let mut few = Few::new();
        assert!(few.is_empty());
        for number in 1..=ROOM {
            few.push(number);
        }
        assert_eq!(few.iter().copied().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
