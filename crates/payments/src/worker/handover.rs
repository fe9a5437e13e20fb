//! The short way: what this process has just committed goes to its workers without a look at the store.
//!
//! Whoever is about to write an event asks for a place first. With one, the event's deliveries are written as leased
//! to this process, and handed over after the commit; without one they are due for any worker. Should the process end
//! in between, or whoever asked be gone, the leases run out, and the deliveries are due like any other.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use cryptopay_domain::{Timestamp, UserId};
use cryptopay_store::delivery::LeasedDelivery;
use tokio::sync::mpsc;

/// How long what is handed over is leased for: some time to get here, the longest wait for a turn, an exchange of
/// 10 s, and its record.
const LEASE: Duration = Duration::from_secs(20);
/// How old a lease may be when it gets here. What was read of its endpoint, the secrets above all, is no older.
const FRESH: Duration = Duration::from_secs(2);
/// Events that may be on their way here.
const ROOM: usize = 512;

/// Where places are given out.
#[derive(Default)]
pub(crate) struct Handover {
    /// Absent until workers run here.
    sender: RwLock<Option<mpsc::Sender<Vec<LeasedDelivery>>>>,
    /// The merchants that have more under way than their endpoints take.
    overrun: RwLock<HashSet<UserId>>,
}

/// A place for the deliveries of one event.
pub(crate) struct Turn {
    place: mpsc::OwnedPermit<Vec<LeasedDelivery>>,
    /// The end of their lease.
    pub(crate) leased_until: Timestamp,
}

impl Turn {
    /// Hands over what was leased until [`Turn::leased_until`].
    pub(crate) fn hand_over(self, leased: Vec<LeasedDelivery>) {
        if !leased.is_empty() {
            self.place.send(leased);
        }
    }
}

impl Handover {
    /// A place for what a merchant's endpoints are to be told, if there is one.
    pub(crate) fn turn(&self, merchant: UserId, now: Timestamp) -> Option<Turn> {
        if self.overrun.read().unwrap_or_else(PoisonError::into_inner).contains(&merchant) {
            return None;
        }
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let place = sender.try_reserve_owned().ok()?;
        Some(Turn { place, leased_until: now.after(LEASE) })
    }

    /// Takes what is handed over from now on.
    pub(super) fn open(&self) -> mpsc::Receiver<Vec<LeasedDelivery>> {
        let (sender, receiver) = mpsc::channel(ROOM);
        *self.sender.write().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// Says whose endpoints have more to take than they do.
    pub(super) fn set_overrun(&self, merchants: HashSet<UserId>) {
        *self.overrun.write().unwrap_or_else(PoisonError::into_inner) = merchants;
    }
}

/// Whether a delivery came here soon enough.
pub(super) fn is_fresh(leased: &LeasedDelivery, now: Timestamp) -> bool {
    now.after(LEASE - FRESH) <= leased.leased_until
}

#[cfg(test)]
mod tests {
    use super::*;

    const MERCHANT: UserId = UserId(1);

    fn turn(handover: &Handover) -> Option<Turn> {
        handover.turn(MERCHANT, Timestamp::from_unix_seconds(0))
    }

    #[test]
    fn there_is_a_turn_while_workers_run_here_and_have_room() {
        let handover = Handover::default();
        assert!(turn(&handover).is_none(), "nobody would take it");
        let mut receiver = handover.open();
        let mut turns: Vec<Turn> = std::iter::from_fn(|| turn(&handover)).take(2 * ROOM).collect();
        assert_eq!(turns.len(), ROOM);
        // A turn that was not needed, or whose transaction failed, is free again.
        turns.pop();
        turns.pop().unwrap().hand_over(Vec::new());
        assert!(turn(&handover).is_some());
        receiver.close();
        assert!(turn(&handover).is_none(), "the workers stop");
        assert!(receiver.try_recv().is_err());
    }

    #[test]
    fn a_merchant_whose_endpoints_are_overrun_gets_no_turn_until_they_are_not() {
        let handover = Handover::default();
        let _receiver = handover.open();
        handover.set_overrun(HashSet::from([MERCHANT]));
        assert!(turn(&handover).is_none());
        assert!(handover.turn(UserId(2), Timestamp::from_unix_seconds(0)).is_some());
        handover.set_overrun(HashSet::new());
        assert!(turn(&handover).is_some());
    }

    #[test]
    fn a_lease_outlasts_the_way_here_the_wait_and_an_exchange() {
        let (way, wait, exchange) = (FRESH, super::super::admission::LONGEST_WAIT, Duration::from_secs(10));
        assert!(LEASE >= way + wait + exchange + Duration::from_secs(2));
    }
}
