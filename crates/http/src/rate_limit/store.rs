//! The counts of one policy in memory, and what bounds them.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use governor::nanos::Nanos;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use governor::state::{InMemoryState, NotKeyed, StateStore};

use super::bucket::Subject;

/// How many subjects are counted one by one under each policy: some 6 MiB.
pub(crate) const CAPACITY: usize = 100_000;

/// How many counts newcomers share when there is no room: 64 KiB.
pub(crate) const SHARED: usize = 8192;

/// Counts of subjects, each by itself as long as there is room for them.
///
/// Whoever has many addresses could make it grow without bound. So when it is full, newcomers are counted
/// together with others: by the hash of their site (IPv4 /24, IPv6 /48), which makes the limit stricter for them
/// and never more lenient. Those already counted are not affected, and room is made as counts recover.
///
/// Clones are one store.
#[derive(Clone)]
pub(crate) struct BoundedStore(Arc<Counts>);

struct Counts {
    own: DashMapStateStore<Subject>,
    /// How many there are, or a little more: looked at where asking the map would lock all of it.
    count: AtomicUsize,
    capacity: usize,
    shared: Box<[InMemoryState]>,
    /// Nobody outside can tell which sites share a count.
    hasher: RandomState,
}

impl BoundedStore {
    /// An empty one with room for so many subjects.
    pub(crate) fn new(capacity: usize) -> Self {
        Self(Arc::new(Counts {
            own: DashMapStateStore::default(),
            count: AtomicUsize::new(0),
            capacity,
            shared: (0..SHARED).map(|_| InMemoryState::default()).collect(),
            hasher: RandomState::new(),
        }))
    }

    /// When a subject's bucket is full, as GCRA knows it; `None` when it has no count.
    pub(crate) fn full_at(&self, subject: &Subject) -> Option<Nanos> {
        let look = |at| Err::<((), Nanos), _>(at);
        let looked = match self.0.own.get(subject) {
            Some(own) => own.measure_and_replace(&NotKeyed::NonKey, look),
            None => self.0.shared(subject).measure_and_replace(&NotKeyed::NonKey, look),
        };
        looked.err().flatten()
    }

    /// How many subjects are counted one by one.
    pub(crate) fn counted(&self) -> usize {
        self.0.own.len()
    }

    /// How many would be, before the map takes more memory.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        self.0.own.capacity()
    }
}

impl Counts {
    fn shared(&self, subject: &Subject) -> &InMemoryState {
        let hash = self.hasher.hash_one(subject.neighbourhood());
        // The remainder is below SHARED, which is a usize.
        &self.shared[(hash % SHARED as u64) as usize]
    }
}

impl StateStore for BoundedStore {
    type Key = Subject;

    fn measure_and_replace<T, F, E>(&self, subject: &Subject, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let counts = &*self.0;
        if let Some(own) = counts.own.get(subject) {
            return own.measure_and_replace(&NotKeyed::NonKey, decide);
        }
        if counts.count.load(Ordering::Relaxed) >= counts.capacity {
            return counts.shared(subject).measure_and_replace(&NotKeyed::NonKey, decide);
        }
        let own = counts.own.entry(*subject).or_insert_with(|| {
            counts.count.fetch_add(1, Ordering::Relaxed);
            InMemoryState::default()
        });
        own.measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

impl ShrinkableKeyedStateStore<Subject> for BoundedStore {
    /// Locks one part of the map after the other, each for microseconds.
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.own.retain_recent(drop_below);
        self.0.count.store(self.0.own.len(), Ordering::Relaxed);
    }

    fn shrink_to_fit(&self) {
        // Growing again costs more than a little room.
        if self.0.own.len() * 4 < self.0.own.capacity() {
            self.0.own.shrink_to_fit();
        }
    }

    fn len(&self) -> usize {
        self.counted()
    }

    fn is_empty(&self) -> bool {
        self.counted() == 0
    }
}
