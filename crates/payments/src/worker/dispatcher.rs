//! The one task that decides: when to look for what is due, what of it to start, and when to stop.

mod deferral;
mod stop;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cryptopay_domain::delivery::AttemptOutcome;
use cryptopay_domain::{DeliveryId, Timestamp};
use cryptopay_store::StoreError;
use cryptopay_store::delivery::{AttemptRecord, Lane, LeaseRequest, LeasedDelivery};
use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinError, JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::admission::{Admission, Pass, Standing, Verdict};
use super::exchange::{Unreadable, attempt, conclude};
use super::open_files::exchanges_within_limit;
use super::recorder;
use crate::core::Payments;

/// For so long a leased delivery is ours: well beyond the wait for its turn and an exchange of 10 s, so that no
/// attempt under way is taken over.
const LEASE: Duration = Duration::from_secs(30);
/// At most so many deliveries are leased at once.
const BATCH: usize = 256;
/// At least so long lies between two looks at a lane when orders come fast, so that one look finds many.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// While so many finished attempts wait for the recorder, nothing is leased.
const MOST_UNRECORDED: usize = 4096;
/// So many finished attempts the recorder is sure to have room for: those, and whatever was leased before.
const RECORDER_ROOM: usize = 4 * MOST_UNRECORDED;

/// Delivers until told to stop.
pub(super) async fn run(payments: Payments, mut stopped: watch::Receiver<bool>) {
    let mut dispatcher = Dispatcher::new(payments.clone());
    let mut ticks = interval(payments.inner.config.look_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // Told to stop, or nobody is left to tell.
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(ended) = dispatcher.exchanges.join_next_with_id() => dispatcher.exchange_ended(ended),
            Some(leased) = dispatcher.looks.join_next() => dispatcher.leased(leased),
            Some(_) = dispatcher.chores.join_next() => {}
            () = payments.inner.due.notified() => dispatcher.prompt.wanted = true,
            _ = ticks.tick() => dispatcher.tick(),
        }
        dispatcher.look_where_wanted();
    }
    dispatcher.stop().await;
}

struct Dispatcher {
    payments: Payments,
    admission: Admission<Leased>,
    prompt: LaneState,
    patient: LaneState,
    exchanges: JoinSet<AttemptOutcome>,
    under_way: HashMap<task::Id, (Pass, Lease)>,
    looks: JoinSet<Look>,
    chores: JoinSet<()>,
    finished: mpsc::Sender<AttemptRecord>,
    recorder: JoinHandle<()>,
    unreadable: Arc<Unreadable>,
    /// Whether the last look succeeded: trouble is logged once.
    healthy: bool,
}

/// Whether and when a lane is looked at.
#[derive(Default)]
struct LaneState {
    wanted: bool,
    looking: bool,
    last_look: Option<Instant>,
}

/// What came of a look at a lane for so many deliveries at most.
struct Look {
    lane: Lane,
    limit: usize,
    leased: Result<Vec<LeasedDelivery>, StoreError>,
}

/// A delivery that is ours for a while, and the lane it came from.
struct Leased {
    lane: Lane,
    delivery: LeasedDelivery,
}

/// What it takes to give a lease back.
type Lease = (DeliveryId, Timestamp);

impl Dispatcher {
    fn new(payments: Payments) -> Self {
        let in_flight = exchanges_within_limit(payments.inner.config.in_flight);
        if in_flight < payments.inner.config.in_flight {
            tracing::info!(in_flight, "the limit of open files bounds how many deliveries are made at once");
        }
        let (finished, receiver) = mpsc::channel(RECORDER_ROOM);
        let recorder = tokio::spawn(recorder::run(payments.clone(), receiver));
        Self {
            payments,
            admission: Admission::new(in_flight),
            prompt: LaneState::default(),
            patient: LaneState::default(),
            exchanges: JoinSet::new(),
            under_way: HashMap::new(),
            looks: JoinSet::new(),
            chores: JoinSet::new(),
            finished,
            recorder,
            unreadable: Arc::default(),
            healthy: true,
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let cleared = self.admission.clear_away(now);
        self.defer(cleared);
        for endpoint in self.admission.awaited() {
            while let Some((pass, leased)) = self.admission.next_waiting(endpoint, now) {
                self.start(pass, leased);
            }
        }
        self.prompt.wanted = true;
        self.patient.wanted = true;
    }

    fn look_where_wanted(&mut self) {
        if RECORDER_ROOM - self.finished.capacity() >= MOST_UNRECORDED {
            return;
        }
        for lane in [Lane::Prompt, Lane::Patient] {
            let limit = self.admission.room(lane).min(BATCH);
            let state = self.lane(lane);
            if !state.wanted || state.looking || limit == 0 {
                continue;
            }
            (state.wanted, state.looking) = (false, true);
            let due = state.last_look.map(|last| last + BETWEEN_LOOKS);
            let pause = due.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()));
            let except = self.admission.saturated(Instant::now());
            let inner = Arc::clone(&self.payments.inner);
            self.looks.spawn(async move {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                let now = inner.now();
                let leased_until = now.after(LEASE);
                let per_endpoint = per_endpoint(lane);
                let request = LeaseRequest { lane, now, leased_until, limit, per_endpoint, except };
                Look { lane, limit, leased: inner.store().lease_deliveries(request).await }
            });
        }
    }

    fn leased(&mut self, look: Result<Look, JoinError>) {
        let Ok(Look { lane, limit, leased }) = look else {
            // A look that ended by a fault told nothing, not even its lane.
            (self.prompt.looking, self.patient.looking) = (false, false);
            return;
        };
        let now = Instant::now();
        self.lane(lane).looking = false;
        let leased = match leased {
            Ok(leased) => leased,
            Err(error) => {
                // The next tick tries again.
                if std::mem::replace(&mut self.healthy, false) {
                    tracing::warn!(%error, "due deliveries cannot be read");
                }
                return;
            }
        };
        if !std::mem::replace(&mut self.healthy, true) {
            tracing::info!("due deliveries are read again");
        }
        let state = self.lane(lane);
        // There may be more: after a look that found all it asked for, without a pause.
        state.wanted |= !leased.is_empty();
        state.last_look = (leased.len() < limit).then_some(now);
        let mut deferred = Vec::new();
        for delivery in leased {
            let standing = match delivery.endpoint.failing_since {
                Some(_) => Standing::Failing,
                None => Standing::Good,
            };
            let endpoint = delivery.endpoint.id;
            match self.admission.admit(endpoint, lane, standing, Leased { lane, delivery }, now) {
                Verdict::Start(pass, leased) => self.start(pass, leased),
                Verdict::Waits => {}
                Verdict::Defer(leased) => deferred.push(leased),
            }
        }
        self.defer(deferred);
    }

    fn start(&mut self, pass: Pass, leased: Leased) {
        let Leased { mut delivery, .. } = leased;
        let lease = (delivery.id, delivery.leased_until);
        let inner = Arc::clone(&self.payments.inner);
        let (finished, unreadable) = (self.finished.clone(), Arc::clone(&self.unreadable));
        let handle = self.exchanges.spawn(async move {
            let attempt = attempt(&inner, &mut delivery, &unreadable).await;
            let outcome = attempt.outcome();
            tracing::debug!(
                delivery = %delivery.id,
                endpoint = %delivery.endpoint.id,
                status = attempt.status_code,
                duration_ms = attempt.duration.as_millis(),
                "attempted to deliver"
            );
            // Fails only once the recorder is gone, when the lease runs out by itself.
            let _ = finished.send(conclude(&inner, &delivery, attempt)).await;
            outcome
        });
        self.under_way.insert(handle.id(), (pass, lease));
    }

    fn exchange_ended(&mut self, ended: Result<(task::Id, AttemptOutcome), JoinError>) {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, Some(outcome)),
            Err(error) => {
                tracing::error!(%error, "an attempt to deliver ended by a fault");
                (error.id(), None)
            }
        };
        let now = Instant::now();
        if let Some((pass, _)) = self.under_way.remove(&id) {
            self.admission.ended(pass, outcome, now);
            while let Some((pass, leased)) = self.admission.next_waiting(pass.endpoint(), now) {
                self.start(pass, leased);
            }
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut LaneState {
        match lane {
            Lane::Prompt => &mut self.prompt,
            Lane::Patient => &mut self.patient,
        }
    }
}

/// At most so many deliveries for one endpoint are leased at once. In the patient lane they are fewer, for what finds
/// no room there has to be written back.
const fn per_endpoint(lane: Lane) -> usize {
    match lane {
        Lane::Prompt => 64,
        Lane::Patient => 16,
    }
}

fn lease_of(leased: &Leased) -> Lease {
    (leased.delivery.id, leased.delivery.leased_until)
}
