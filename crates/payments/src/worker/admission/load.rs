//! What one endpoint has under way, what waits for it, and how much it is trusted with.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cryptopay_domain::WebhookEndpointId;
use cryptopay_domain::delivery::AttemptOutcome;
use cryptopay_store::delivery::Lane;

use super::places::Trust;

/// Exchanges at once with an endpoint that answers.
const MOST: usize = 32;
/// An exchange that lasts so long shows an endpoint that hangs, or is slow enough to be treated alike.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(1);

/// No more deliveries are leased for an endpoint for which so many wait.
pub(super) const ENOUGH_WAITING: usize = 64;
/// Nor for one without room, once so many of its deliveries have found none.
pub(super) const ENOUGH_DEFERRED: usize = 8;

/// What an endpoint has under way.
pub(super) struct Load<T> {
    /// When each exchange under way began, oldest first.
    began: VecDeque<Instant>,
    pub(super) waiting: VecDeque<Waiting<T>>,
    /// Exchanges it is allowed at once.
    pub(super) allowance: usize,
    pub(super) trust: Trust,
    /// Deliveries that found no room since the last exchange began.
    pub(super) deferred: usize,
    last_touched: Instant,
}

pub(super) struct Waiting<T> {
    pub(super) lane: Lane,
    pub(super) since: Instant,
    pub(super) delivery: T,
}

/// What an exchange under way holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) struct Pass {
    pub(super) endpoint: WebhookEndpointId,
    pub(super) lane: Lane,
    began: Instant,
    /// What it was admitted with.
    pub(super) trust: Trust,
}

impl Pass {
    /// Whose exchange it is.
    pub(in crate::worker) fn endpoint(&self) -> WebhookEndpointId {
        self.endpoint
    }
}

impl<T> Load<T> {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: VecDeque::new(),
            waiting: VecDeque::new(),
            allowance: 1,
            trust: Trust::Doubtful,
            deferred: 0,
            last_touched: now,
        }
    }

    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        self.began.front().is_some_and(|began| now - *began >= STALLED_AFTER)
    }

    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.began.len() < self.allowance && !self.is_stalled(now)
    }

    /// Whether it has no room for more, and more has come.
    pub(super) fn is_saturated(&self, now: Instant) -> bool {
        let is_overrun = self.deferred >= ENOUGH_DEFERRED && !self.has_room(now);
        self.waiting.len() >= ENOUGH_WAITING || is_overrun
    }

    pub(super) fn is_idle_since(&self, moment: Option<Instant>) -> bool {
        let untouched = moment.is_some_and(|moment| self.last_touched <= moment);
        untouched && self.began.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn touch(&mut self, now: Instant) {
        self.last_touched = now;
    }

    pub(super) fn begin(&mut self, endpoint: WebhookEndpointId, lane: Lane, now: Instant) -> Pass {
        self.began.push_back(now);
        self.deferred = 0;
        Pass { endpoint, lane, began: now, trust: self.trust }
    }

    /// Learns from how an exchange ended; `None` told nothing.
    pub(super) fn end(&mut self, pass: Pass, outcome: Option<AttemptOutcome>, now: Instant) {
        self.touch(now);
        if let Some(position) = self.began.iter().position(|began| *began == pass.began) {
            self.began.remove(position);
        }
        let Some(outcome) = outcome else { return };
        self.trust = if now - pass.began < STALLED_AFTER { Trust::Answers } else { Trust::Doubtful };
        self.allowance = match outcome {
            AttemptOutcome::Succeeded => (self.allowance * 2).min(MOST),
            AttemptOutcome::Gone | AttemptOutcome::Failed => (self.allowance / 2).max(1),
        };
    }
}
