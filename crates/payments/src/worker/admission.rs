//! Which leased delivery is posted now, which waits here, and which goes back: what keeps a slow or dead
//! endpoint from delaying anybody else's deliveries.
//!
//! Each endpoint has an allowance of exchanges at once. It begins at one and doubles with each success, as TCP
//! finds out what a path takes (RFC 5681, slow start); a failure halves it. So an endpoint that has never
//! answered holds one place, however many events there are for it. An endpoint whose oldest exchange has
//! lasted for a second gets no further one.
//!
//! Places are scarce. Each lane has its own, and in each lane some are kept for endpoints whose last exchange
//! here ended quickly, well or badly: however many others hang, those find a place. Deliveries to endpoints
//! that answer wait here for their turn; those to endpoints that do not go back to the store, into the patient
//! lane, so that they are not in the way of what is due after them.

mod load;
mod places;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cryptopay_domain::WebhookEndpointId;
use cryptopay_domain::delivery::AttemptOutcome;
use cryptopay_store::delivery::Lane;

pub(super) use load::Pass;
use load::{Load, Waiting};
use places::{Places, Trust};

/// Exchanges at once with an endpoint whose last attempts failed.
const MOST_WHEN_FAILING: usize = 2;
/// For so long a leased delivery may wait here. With an exchange of 10 s after it, its lease still holds, and what
/// was read of its endpoint, the secrets above all, is no older than that.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// Deliveries that may wait here in all.
const MOST_WAITING: usize = 4096;
/// Deliveries that may wait for a failing endpoint.
const MOST_WAITING_WHEN_FAILING: usize = 8;
/// An endpoint that nothing was sent to for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

/// The book of what is under way and what waits.
pub(super) struct Admission<T> {
    places: Places,
    endpoints: HashMap<WebhookEndpointId, Load<T>>,
    waiting: usize,
}

/// What becomes of a leased delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<T> {
    /// Post it. The pass is to be given back when the exchange is over.
    Start(Pass, T),
    /// It waits here for its turn.
    Waits,
    /// It has to go back.
    Defer(T),
}

/// What is known of an endpoint from its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its last attempt did not fail.
    Good,
    /// It did.
    Failing,
}

impl<T> Admission<T> {
    /// A book for `in_flight` exchanges at once.
    pub(super) fn new(in_flight: usize) -> Self {
        Self { places: Places::for_exchanges(in_flight), endpoints: HashMap::new(), waiting: 0 }
    }

    /// How many deliveries of a lane could be posted at once.
    pub(super) fn room(&self, lane: Lane) -> usize {
        self.places.of(lane).left()
    }

    /// Decides about a delivery that has just been leased.
    pub(super) fn admit(
        &mut self,
        endpoint: WebhookEndpointId,
        lane: Lane,
        standing: Standing,
        delivery: T,
        now: Instant,
    ) -> Verdict<T> {
        let load = self.endpoints.entry(endpoint).or_insert_with(|| Load::new(now));
        load.touch(now);
        if standing == Standing::Failing {
            load.allowance = load.allowance.min(MOST_WHEN_FAILING);
        }
        // Whoever waits already goes first.
        let may_start = load.waiting.is_empty() && load.has_room(now);
        if may_start && self.places.of_mut(lane).enter(load.trust) {
            return Verdict::Start(load.begin(endpoint, lane, now), delivery);
        }
        let no_place = may_start && load.trust == Trust::Doubtful;
        let most = match standing {
            Standing::Good => MOST_WAITING,
            Standing::Failing => MOST_WAITING_WHEN_FAILING,
        };
        if no_place || load.is_stalled(now) || load.waiting.len() >= most || self.waiting >= MOST_WAITING {
            load.deferred += 1;
            return Verdict::Defer(delivery);
        }
        load.waiting.push_back(Waiting { lane, since: now, delivery });
        self.waiting += 1;
        Verdict::Waits
    }

    /// Takes a pass back and learns from how the exchange ended; `None` is an exchange that told nothing.
    pub(super) fn ended(&mut self, pass: Pass, outcome: Option<AttemptOutcome>, now: Instant) {
        self.places.of_mut(pass.lane).leave(pass.trust);
        if let Some(load) = self.endpoints.get_mut(&pass.endpoint) {
            load.end(pass, outcome, now);
        }
    }

    /// The next delivery that waits for an endpoint, if it may start now.
    pub(super) fn next_waiting(&mut self, endpoint: WebhookEndpointId, now: Instant) -> Option<(Pass, T)> {
        let load = self.endpoints.get_mut(&endpoint)?;
        let lane = load.waiting.front()?.lane;
        if !load.has_room(now) || !self.places.of_mut(lane).enter(load.trust) {
            return None;
        }
        let next = load.waiting.pop_front()?;
        self.waiting -= 1;
        Some((load.begin(endpoint, lane, now), next.delivery))
    }

    /// The endpoints for which deliveries wait.
    pub(super) fn awaited(&self) -> Vec<WebhookEndpointId> {
        self.endpoints_with(|load| !load.waiting.is_empty())
    }

    /// The endpoints that have no room for more, and of which more has come: what else is due for them is to be passed
    /// by. Those that merely hang are not among them, for they may be many.
    pub(super) fn saturated(&self, now: Instant) -> Vec<WebhookEndpointId> {
        self.endpoints_with(|load| load.is_saturated(now))
    }

    /// Whether an endpoint is one of these.
    pub(super) fn is_saturated(&self, endpoint: WebhookEndpointId, now: Instant) -> bool {
        self.endpoints.get(&endpoint).is_some_and(|load| load.is_saturated(now))
    }

    /// Takes out what has to go back: what waits for endpoints that hang, and what has waited too long. Also
    /// forgets endpoints that nothing was sent to for long.
    pub(super) fn clear_away(&mut self, now: Instant) -> Vec<T> {
        let mut cleared = Vec::new();
        for load in self.endpoints.values_mut() {
            let stalled = load.is_stalled(now);
            while load.waiting.front().is_some_and(|first| stalled || now - first.since > LONGEST_WAIT) {
                cleared.extend(load.waiting.pop_front().map(|waiting| waiting.delivery));
                load.deferred += 1;
            }
        }
        self.waiting -= cleared.len();
        let long_ago = now.checked_sub(FORGOTTEN_AFTER);
        self.endpoints.retain(|_, load| !load.is_idle_since(long_ago));
        cleared
    }

    /// Takes out everything that waits.
    pub(super) fn drain(&mut self) -> Vec<T> {
        self.waiting = 0;
        let waiting = self.endpoints.values_mut().flat_map(|load| load.waiting.drain(..));
        waiting.map(|waiting| waiting.delivery).collect()
    }

    fn endpoints_with(&self, is_meant: impl Fn(&Load<T>) -> bool) -> Vec<WebhookEndpointId> {
        self.endpoints.iter().filter(|(_, load)| is_meant(load)).map(|(endpoint, _)| *endpoint).collect()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::load::{ENOUGH_DEFERRED, ENOUGH_WAITING, STALLED_AFTER};
    use super::*;

    const MOMENT: Duration = Duration::from_millis(5);

    fn endpoint(number: u128) -> WebhookEndpointId {
        WebhookEndpointId(Uuid::from_u128(number))
    }

    fn admit(book: &mut Admission<u32>, number: u128, now: Instant) -> Verdict<u32> {
        book.admit(endpoint(number), Lane::Prompt, Standing::Good, 7, now)
    }

    /// Starts an exchange that has to start.
    fn start(book: &mut Admission<u32>, number: u128, now: Instant) -> Pass {
        match admit(book, number, now) {
            Verdict::Start(pass, 7) => pass,
            other => panic!("it does not start: {other:?}"),
        }
    }

    /// Lets an endpoint answer well, once.
    fn prove(book: &mut Admission<u32>, number: u128, now: Instant) {
        let pass = start(book, number, now);
        book.ended(pass, Some(AttemptOutcome::Succeeded), now + MOMENT);
    }

    /// How many exchanges an endpoint is allowed at once.
    fn allowance(book: &mut Admission<u32>, number: u128, now: Instant) -> usize {
        let mut passes = Vec::new();
        while let Verdict::Start(pass, _) = admit(book, number, now) {
            passes.push(pass);
        }
        book.drain();
        passes.iter().for_each(|pass| book.ended(*pass, None, now));
        passes.len()
    }

    #[test]
    fn an_endpoint_is_allowed_one_exchange_and_twice_as_many_after_each_success() {
        let (mut book, now) = (Admission::new(1000), Instant::now());
        for expected in [1, 2, 4, 8, 16, 32, 32] {
            assert_eq!(allowance(&mut book, 1, now), expected);
            prove(&mut book, 1, now);
        }
        for expected in [16, 8, 4, 2, 1, 1] {
            let pass = start(&mut book, 1, now);
            book.ended(pass, Some(AttemptOutcome::Failed), now + MOMENT);
            assert_eq!(allowance(&mut book, 1, now), expected);
        }
    }

    #[test]
    fn what_waits_starts_in_turn_as_exchanges_end() {
        let (mut book, now) = (Admission::new(1000), Instant::now());
        let pass = start(&mut book, 1, now);
        for delivery in 0..4 {
            let verdict = book.admit(endpoint(1), Lane::Prompt, Standing::Good, delivery, now);
            assert_eq!(verdict, Verdict::Waits);
        }
        assert_eq!(book.next_waiting(endpoint(1), now), None, "no room yet");
        book.ended(pass, Some(AttemptOutcome::Succeeded), now + MOMENT);
        let mut next = || book.next_waiting(endpoint(1), now + MOMENT).map(|(_, delivery)| delivery);
        assert_eq!((next(), next(), next()), (Some(0), Some(1), None));
        assert_eq!(book.drain(), [2, 3]);
        assert!(book.drain().is_empty());
    }

    #[test]
    fn an_endpoint_that_hangs_gets_no_further_exchange_and_nothing_waits_for_it() {
        let (mut book, now) = (Admission::new(1000), Instant::now());
        prove(&mut book, 1, now);
        let pass = start(&mut book, 1, now);
        start(&mut book, 1, now);
        assert_eq!(admit(&mut book, 1, now), Verdict::Waits);
        assert!(book.clear_away(now + STALLED_AFTER / 2).is_empty());
        let later = now + STALLED_AFTER;
        assert_eq!(book.clear_away(later), [7]);
        assert_eq!(admit(&mut book, 1, later), Verdict::Defer(7));
        book.ended(pass, Some(AttemptOutcome::Failed), later);
        assert_eq!(admit(&mut book, 1, later), Verdict::Defer(7), "the other one hangs as well");
        assert!(matches!(admit(&mut book, 2, later), Verdict::Start(..)), "another endpoint");
    }

    #[test]
    fn a_failing_endpoint_gets_two_exchanges_at_most_and_few_wait_for_it() {
        let (mut book, now) = (Admission::new(1000), Instant::now());
        (0..5).for_each(|_| prove(&mut book, 1, now));
        let mut verdicts = Vec::new();
        for _ in 0..12 {
            verdicts.push(book.admit(endpoint(1), Lane::Patient, Standing::Failing, 7, now));
        }
        let count = |wanted: fn(&Verdict<u32>) -> bool| verdicts.iter().filter(|it| wanted(it)).count();
        assert_eq!(count(|it| matches!(it, Verdict::Start(..))), MOST_WHEN_FAILING);
        assert_eq!(count(|it| matches!(it, Verdict::Waits)), MOST_WAITING_WHEN_FAILING);
        assert_eq!(count(|it| matches!(it, Verdict::Defer(_))), 2);
    }

    #[test]
    fn however_many_endpoints_hang_those_that_answer_find_a_place() {
        for lane in [Lane::Prompt, Lane::Patient] {
            let (mut book, now) = (Admission::new(80), Instant::now());
            prove(&mut book, 1, now);
            let mut started = 0;
            for number in 2..200 {
                match book.admit(endpoint(number), lane, Standing::Good, 7, now) {
                    Verdict::Start(..) => started += 1,
                    verdict => assert_eq!(verdict, Verdict::Defer(7), "it must not be in the way"),
                }
            }
            assert!(started > 4 && book.room(lane) > 0, "{started}");
            let verdict = book.admit(endpoint(1), lane, Standing::Good, 7, now);
            assert!(matches!(verdict, Verdict::Start(..)), "{verdict:?}");
        }
    }

    #[test]
    fn an_endpoint_that_hung_is_doubtful_until_it_answers_quickly_again() {
        let (mut book, now) = (Admission::new(80), Instant::now());
        prove(&mut book, 1, now);
        let pass = start(&mut book, 1, now);
        assert_eq!(pass.trust, Trust::Answers);
        let later = now + 10 * STALLED_AFTER;
        book.ended(pass, Some(AttemptOutcome::Failed), later);
        let pass = start(&mut book, 1, later);
        assert_eq!(pass.trust, Trust::Doubtful);
        book.ended(pass, Some(AttemptOutcome::Failed), later + MOMENT);
        let pass = start(&mut book, 1, later + MOMENT);
        assert_eq!(pass.trust, Trust::Answers, "a refusal is quick, too");
        book.ended(pass, None, later + MOMENT);
        assert_eq!(book.places, Places::for_exchanges(80), "every place was left");
    }

    #[test]
    fn what_waited_for_too_long_goes_back_and_idle_endpoints_are_forgotten() {
        let (mut book, now) = (Admission::new(1000), Instant::now());
        let pass = start(&mut book, 1, now);
        assert_eq!(admit(&mut book, 1, now), Verdict::Waits);
        book.ended(pass, None, now);
        assert_eq!(book.awaited(), [endpoint(1)]);
        assert_eq!(book.clear_away(now + LONGEST_WAIT + MOMENT), [7]);
        assert!(book.awaited().is_empty());
        assert_eq!(book.endpoints.len(), 1);
        book.clear_away(now + FORGOTTEN_AFTER);
        assert!(book.endpoints.is_empty());
    }

    #[test]
    fn an_endpoint_for_which_enough_waits_is_leased_no_more() {
        let (mut book, now) = (Admission::new(1000), Instant::now());
        start(&mut book, 1, now);
        for _ in 0..ENOUGH_WAITING {
            assert!(book.saturated(now).is_empty());
            assert_eq!(admit(&mut book, 1, now), Verdict::Waits);
        }
        assert_eq!(book.saturated(now), [endpoint(1)]);
    }

    #[test]
    fn an_endpoint_that_hangs_is_leased_no_more_once_it_is_overrun_until_it_has_room() {
        let (mut book, now) = (Admission::new(1000), Instant::now());
        let pass = start(&mut book, 1, now);
        let later = now + STALLED_AFTER;
        for _ in 0..ENOUGH_DEFERRED {
            assert!(book.saturated(later).is_empty());
            assert_eq!(admit(&mut book, 1, later), Verdict::Defer(7));
        }
        assert_eq!(book.saturated(later), [endpoint(1)]);
        book.ended(pass, Some(AttemptOutcome::Failed), later);
        assert!(book.saturated(later).is_empty());
        start(&mut book, 1, later);
        assert!(book.saturated(later).is_empty(), "it has to be overrun anew");
    }
}
