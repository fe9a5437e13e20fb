//! The one task that decides: when to look for what is due, what of it to start, and when to stop.

mod deferral;
mod stop;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cryptopay_domain::delivery::AttemptOutcome;
use cryptopay_domain::{DeliveryId, Timestamp, UserId, WebhookEndpointId};
use cryptopay_store::StoreError;
use cryptopay_store::delivery::{self, AttemptRecord, Lane, LeaseRequest, LeasedDelivery};
use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinError, JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::admission::{Admission, Pass, Standing, Verdict};
use super::exchange::{Unreadable, attempt, conclude};
use super::handover::is_fresh;
use super::open_files::exchanges_within_limit;
use super::recorder;
use crate::core::Payments;

/// For so long a leased delivery is ours: well beyond the wait for its turn and an exchange of 10 s, so that no
/// attempt under way is taken over.
const LEASE: Duration = Duration::from_secs(30);
/// At most so many deliveries are leased at once.
const BATCH: usize = 256;
/// At least so long lies between two looks at a lane, so that one look finds many.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// At most so long, when looks take their time.
const LONGEST_BETWEEN_LOOKS: Duration = Duration::from_secs(1);
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
            Some(handed) = dispatcher.handed.recv(), if dispatcher.has_room() => dispatcher.handed_over(handed),
            Some(ended) = dispatcher.exchanges.join_next_with_id() => dispatcher.exchange_ended(ended),
            Some(leased) = dispatcher.looks.join_next() => dispatcher.leased(leased),
            Some(_) = dispatcher.chores.join_next() => {}
            () = payments.inner.due.notified() => dispatcher.prompt.want_tour(),
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
    handed: mpsc::Receiver<Vec<LeasedDelivery>>,
    /// Endpoints that have more to take than they do, and their merchants.
    overrun: HashMap<WebhookEndpointId, UserId>,
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

/// Whether, when and where a lane is looked at.
#[derive(Default)]
struct LaneState {
    wanted: bool,
    looking: bool,
    rests_until: Option<Instant>,
    /// The endpoint that the last look came to; `None` at the start.
    after: Option<WebhookEndpointId>,
    /// How often looks have to come to the last endpoint until they have been to all of them.
    ends_ahead: u8,
}

impl LaneState {
    /// Wants looks until they have been to every endpoint.
    fn want_tour(&mut self) {
        self.wanted = true;
        self.ends_ahead = if self.after.is_none() { 1 } else { 2 };
    }

    /// Goes on from where a look came to.
    fn looked(&mut self, lease: &delivery::Lease, limit: usize, took: Duration) {
        self.after = lease.reached;
        if self.after.is_none() {
            self.ends_ahead = self.ends_ahead.saturating_sub(1);
        }
        // A tour goes on where it came to, and there may be more where all that was asked for was found.
        let is_full = lease.deliveries.len() >= limit;
        self.wanted |= is_full || self.ends_ahead > 0;
        // To look must not be what the database is busy with.
        let rest = took * if is_full { 2 } else { 10 };
        self.rests_until = Some(Instant::now() + rest.clamp(BETWEEN_LOOKS, LONGEST_BETWEEN_LOOKS));
    }
}

/// What came of a look at a lane.
struct Look {
    lane: Lane,
    limit: usize,
    leased: Result<delivery::Lease, StoreError>,
    took: Duration,
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
            admission: Admission::new(in_flight),
            prompt: LaneState::default(),
            patient: LaneState::default(),
            handed: payments.inner.handover.open(),
            payments,
            overrun: HashMap::new(),
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
        let is_overrun = |endpoint: &WebhookEndpointId| self.admission.is_saturated(*endpoint, now);
        let before = self.overrun.len();
        self.overrun.retain(|endpoint, _| is_overrun(endpoint));
        if self.overrun.len() < before {
            self.tell_overrun();
        }
        self.prompt.want_tour();
        // Retries are in no hurry: each tick goes on where the last one came to.
        self.patient.wanted = true;
    }

    /// Whether what is handed over could be posted.
    fn has_room(&self) -> bool {
        self.admission.room(Lane::Prompt) > 0 && !self.is_recorder_behind()
    }

    fn is_recorder_behind(&self) -> bool {
        RECORDER_ROOM - self.finished.capacity() >= MOST_UNRECORDED
    }

    /// Takes what this process has just committed.
    fn handed_over(&mut self, handed: Vec<LeasedDelivery>) {
        let now = self.payments.inner.now();
        let (fresh, stale): (Vec<_>, Vec<_>) = handed.into_iter().partition(|leased| is_fresh(leased, now));
        self.return_leases(stale.iter().map(|leased| (leased.id, leased.leased_until)).collect());
        let endpoints: Vec<_> =
            fresh.iter().map(|leased| (leased.endpoint.id, leased.endpoint.user_id)).collect();
        self.admit(Lane::Prompt, fresh);
        let now = Instant::now();
        let known = self.overrun.len();
        self.overrun.extend(endpoints.into_iter().filter(|(id, _)| self.admission.is_saturated(*id, now)));
        if self.overrun.len() > known {
            self.tell_overrun();
        }
    }

    fn tell_overrun(&self) {
        let merchants: HashSet<UserId> = self.overrun.values().copied().collect();
        self.payments.inner.handover.set_overrun(merchants);
    }

    fn look_where_wanted(&mut self) {
        if self.is_recorder_behind() {
            return;
        }
        for lane in [Lane::Prompt, Lane::Patient] {
            let limit = self.admission.room(lane).min(BATCH);
            let state = self.lane(lane);
            if !state.wanted || state.looking || limit == 0 {
                continue;
            }
            (state.wanted, state.looking) = (false, true);
            let after = state.after;
            let rest = state.rests_until.map(|end| end.saturating_duration_since(Instant::now()));
            let except = self.admission.saturated(Instant::now());
            let inner = Arc::clone(&self.payments.inner);
            self.looks.spawn(async move {
                if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
                    tokio::time::sleep(rest).await;
                }
                let begun = Instant::now();
                let now = inner.now();
                let leased_until = now.after(LEASE);
                let per_endpoint = per_endpoint(lane);
                let request = LeaseRequest { lane, now, leased_until, limit, per_endpoint, except, after };
                let leased = inner.store().lease_deliveries(request).await;
                Look { lane, limit, leased, took: begun.elapsed() }
            });
        }
    }

    fn leased(&mut self, look: Result<Look, JoinError>) {
        let Ok(Look { lane, limit, leased, took }) = look else {
            // A look that ended by a fault told nothing, not even its lane.
            (self.prompt.looking, self.patient.looking) = (false, false);
            return;
        };
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
        self.lane(lane).looked(&leased, limit, took);
        if lane == Lane::Prompt && !leased.deliveries.is_empty() {
            // An endpoint that got its share may have more.
            self.prompt.want_tour();
        }
        self.admit(lane, leased.deliveries);
    }

    /// Decides about deliveries that are ours.
    fn admit(&mut self, lane: Lane, leased: Vec<LeasedDelivery>) {
        let now = Instant::now();
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
            inner.attempts.count(outcome);
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
