//! What attempts come to for their deliveries, written in batches.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cryptopay_domain::delivery::{DeliveryStatus, NextStep};
use cryptopay_domain::{Attempt, DeliveryId, Timestamp, WebhookEndpoint, WebhookEndpointId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde::Serialize;

use crate::delivery_end::EndOfDeliveries;
use crate::delivery_judgement::{Judge, Judgement, JudgementQueries, Verdict};
use crate::moment::{At, at};
use crate::schema::webhook_deliveries;
use crate::statement::{Dialect, Dialects};
use crate::{Store, StoreError};

/// An attempt that was made.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// Under which lease.
    pub leased_until: Timestamp,
    /// How it went.
    pub attempt: Attempt,
    /// What becomes of the delivery, if the lease still holds.
    pub next: NextStep,
    /// To which endpoint.
    pub endpoint: WebhookEndpointId,
    /// To which URL: it says nothing about an endpoint that has got another one meanwhile.
    pub url: String,
}

/// A row of the attempts, as it goes into a statement.
#[derive(Serialize)]
struct NewAttempt {
    delivery_id: String,
    at: At,
    status_code: Option<u16>,
    error: Option<String>,
    duration_ms: u128,
    response: Option<String>,
}

impl From<&AttemptRecord> for NewAttempt {
    fn from(record: &AttemptRecord) -> Self {
        // PostgreSQL keeps every character but one.
        let kept = |text: &Option<String>| text.as_ref().map(|text| text.replace('\0', "\u{fffd}"));
        Self {
            delivery_id: record.delivery.to_string(),
            at: At(record.attempt.at),
            status_code: record.attempt.status_code,
            error: kept(&record.attempt.error),
            duration_ms: record.attempt.duration.as_millis(),
            response: kept(&record.attempt.response),
        }
    }
}

/// What becomes of a delivery, as it goes into a statement.
#[derive(Serialize)]
struct Settlement {
    id: String,
    status: &'static str,
    next_attempt_at: Option<At>,
    ended_at: Option<At>,
}

impl Settlement {
    fn new(record: &AttemptRecord, is_open: bool) -> Self {
        let (status, next_attempt_at) = match record.next {
            NextStep::Succeeded => (DeliveryStatus::Succeeded, None),
            NextStep::Retry(moment) if is_open => (DeliveryStatus::Pending, Some(moment)),
            NextStep::Retry(_) | NextStep::GiveUp => (DeliveryStatus::Failed, None),
        };
        let ended_at = next_attempt_at.is_none().then(|| record.attempt.at.after(record.attempt.duration));
        let (next_attempt_at, ended_at) = (at(next_attempt_at), at(ended_at));
        Self { id: record.delivery.to_string(), status: status.as_str(), next_attempt_at, ended_at }
    }
}

/// To write the same attempt again changes nothing.
const INSERT_ATTEMPTS: Dialects = Dialects {
    sqlite: "INSERT INTO webhook_attempts (delivery_id, at, status_code, error, duration_ms, response) \
             SELECT value ->> 'delivery_id', value ->> 'at', value ->> 'status_code', value ->> 'error', \
             value ->> 'duration_ms', value ->> 'response' FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
    postgres: "INSERT INTO webhook_attempts (delivery_id, at, status_code, error, duration_ms, response) \
               SELECT a.* FROM json_to_recordset(?::json) AS a(delivery_id text, at timestamptz, \
               status_code bigint, error text, duration_ms bigint, response text) ON CONFLICT DO NOTHING",
};

/// What comes after an attempt is a retry, if anything: it goes the patient way.
const SETTLE: Dialects = Dialects {
    sqlite: "UPDATE webhook_deliveries AS d SET status = s.status, lane = 1, tries = d.tries + 1, \
             next_attempt_at = s.next_attempt_at, due_at = s.next_attempt_at, ended_at = s.ended_at \
             FROM (SELECT value ->> 'id' AS id, value ->> 'status' AS status, \
             value ->> 'next_attempt_at' AS next_attempt_at, value ->> 'ended_at' AS ended_at \
             FROM json_each(?)) AS s WHERE d.id = s.id",
    postgres: "UPDATE webhook_deliveries AS d SET status = s.status, lane = 1, tries = d.tries + 1, \
               next_attempt_at = s.next_attempt_at, due_at = s.next_attempt_at, ended_at = s.ended_at \
               FROM json_to_recordset(?::json) AS s(id text, status text, next_attempt_at timestamptz, \
               ended_at timestamptz) WHERE d.id = s.id",
};

#[derive(Queryable)]
pub(crate) struct Held {
    id: String,
    due_at: Option<At>,
}

locking_queries! {
    /// Taking deliveries, after their endpoints.
    trait DeliveryLocks {
        async fn lock_deliveries(ids: Vec<String>) -> Vec<Held> = {
            webhook_deliveries::table
                .filter(webhook_deliveries::id.eq_any(ids))
                .order(webhook_deliveries::id)
                .select((webhook_deliveries::id, webhook_deliveries::due_at))
        }.for_no_key_update();
    }
}

shared_queries! {
    /// Writing attempts and what comes of them.
    trait RecordQueries {
        /// Writes attempts, and settles the deliveries whose leases still hold; `open` tells of each whether
        /// its endpoint takes a retry.
        async fn settle(conn, records: Arc<[AttemptRecord]>, open: Vec<bool>) -> Result<(), StoreError> {
            let ids: BTreeSet<String> = records.iter().map(|record| record.delivery.to_string()).collect();
            let held: Vec<Held> = conn.lock_deliveries(ids.into_iter().collect()).await?;
            let mut held: HashMap<String, Option<At>> =
                held.into_iter().map(|held| (held.id, held.due_at)).collect();
            let attempts: Vec<NewAttempt> = records
                .iter()
                .map(NewAttempt::from)
                .filter(|attempt| held.contains_key(&attempt.delivery_id))
                .collect();
            conn.statement(INSERT_ATTEMPTS).json(&attempts)?.execute(conn).await?;

            let mut settlements: Vec<Settlement> = Vec::with_capacity(records.len());
            for (record, is_open) in records.iter().zip(open) {
                let settlement = Settlement::new(record, is_open);
                if held.get(&settlement.id) == Some(&Some(At(record.leased_until))) {
                    // Once, should the same attempt stand there twice.
                    held.remove(&settlement.id);
                    settlements.push(settlement);
                }
            }
            if !settlements.is_empty() {
                conn.statement(SETTLE).json(&settlements)?.execute(conn).await?;
            }
            Ok(())
        }
    }
}

impl Store {
    /// Records attempts, all in one transaction, and gives the endpoints that were disabled by it.
    ///
    /// `judge` is asked what each attempt says about its endpoint as it is now, in the order in which they
    /// were made. A delivery changes only while the lease is the one that the attempt was made under; the
    /// attempt itself is recorded in any case, unless the delivery is gone. To record the same attempts again
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] when they were not, or perhaps not, recorded.
    pub async fn record_attempts(
        &self,
        records: Vec<AttemptRecord>,
        judge: impl Fn(&WebhookEndpoint, &Attempt) -> Verdict + Send + 'static,
    ) -> Result<Vec<WebhookEndpointId>, StoreError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let mut records = records;
        records.sort_by_key(|record| record.attempt.at);
        let last = records.last().map_or(Timestamp::MAX, |record| record.attempt.at);
        let (records, judge): (Arc<[AttemptRecord]>, Judge) = (records.into(), Box::new(judge));
        writing!(self, |conn| {
            let judgement: Judgement = conn.judge_endpoints(Arc::clone(&records), judge).await?;
            let open: Vec<bool> = records.iter().map(|record| judgement.is_open(record.endpoint)).collect();
            conn.settle(records, open).await?;
            conn.fail_pending(judgement.disabled.iter().map(ToString::to_string).collect(), last).await?;
            conn.make_patient(judgement.failing()).await?;
            Ok(judgement.disabled)
        })
    }
}
