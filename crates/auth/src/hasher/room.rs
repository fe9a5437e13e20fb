//! Room for the memory of password hashes.
//!
//! Once mimalloc has found room for all runs at once, it has an arena for them, in which each finds the place of
//! the one before. Among all else, where it would lie without this, a run loses its place to something small now
//! and then, and the old place stays resident for a second beside the new one. (The first arena is too small for a
//! run, so that everything else lies there for as long as it takes less than 128 MiB: `.cargo/config.toml`.)

use std::hint::black_box;
use std::mem;
use std::sync::{Mutex, PoisonError};

/// mimalloc makes no arena of more than 2 GiB, what it keeps of each included.
const MOST: usize = (2 << 30) - (4 << 20);

/// Memory that has been found and is not touched, so that it takes none. It is kept until the first run: given up
/// before, it would be due to be purged when a burst begins, and runs have to go round what is being purged.
pub(super) struct Room(Mutex<Vec<u8>>);

impl Room {
    /// For runs that take `bytes` together.
    pub(super) fn find(bytes: usize) -> Self {
        // mimalloc begins each in a chunk of its own, of 32 MiB, and ends it a little way into another.
        let needed = bytes.saturating_add(bytes / 4);
        let mut room = Vec::new();
        // Without it there is room as well.
        let _ = room.try_reserve_exact(needed.min(MOST));
        Self(Mutex::new(black_box(room)))
    }

    /// Leaves it to the runs; done again, it does nothing.
    pub(super) fn leave(&self) {
        drop(mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}
