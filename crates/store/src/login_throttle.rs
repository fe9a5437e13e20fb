//! The counters of the login throttle.

use std::collections::BTreeMap;

use cryptopay_domain::Timestamp;
use cryptopay_domain::login_throttle::{
    AttemptCounter, AttemptKind, CounterKey, Reserved, Throttled, reserve,
};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde::Serialize;

use crate::moment::At;
use crate::schema::login_attempts;
use crate::statement::{Dialect, Dialects};
use crate::{Store, StoreError};

/// A counter, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundCounter {
    /// What it has counted.
    pub counter: AttemptCounter,
    /// Until when its network is known to its account, if it has logged that in.
    pub known_until: Option<Timestamp>,
}

/// What becomes of an attempt whose password was right, or was never looked at.
#[derive(Clone, Debug, Default)]
pub struct AttemptSettlement {
    /// What it was counted by, and is taken back from.
    pub refund: Vec<(CounterKey, AttemptKind)>,
    /// The account's counters from the network that it has logged in from, and until when that is known to it.
    pub known: Option<(Vec<CounterKey>, Timestamp)>,
}

#[derive(Queryable, QueryableByName, Selectable, Serialize)]
#[diesel(table_name = login_attempts)]
pub(crate) struct CounterRow {
    key: String,
    restored_at: At,
    last_at: At,
    known_until: Option<At>,
    forget_after: At,
}

impl CounterRow {
    const fn new(key: String, now: Timestamp) -> Self {
        Self { key, restored_at: At(now), last_at: At(now), known_until: None, forget_after: At(now) }
    }

    const fn counter(&self) -> AttemptCounter {
        AttemptCounter { restored_at: self.restored_at.0, last_at: self.last_at.0 }
    }

    fn set(&mut self, kind: AttemptKind, counter: AttemptCounter) {
        self.restored_at = At(counter.restored_at);
        self.last_at = At(counter.last_at);
        self.keep_until(counter.forget_after(kind.budget()));
    }

    fn keep_until(&mut self, moment: Timestamp) {
        self.forget_after = At(self.known_until.map_or(moment, |known| known.0.max(moment)));
    }
}

/// Takes counters, in the order of their keys as whoever takes several does, and reads them. On PostgreSQL that needs
/// a row to take, so a counter that is not there is made; on SQLite whoever writes has everything already.
const TAKE: Dialects = Dialects {
    sqlite: "SELECT key, restored_at, last_at, known_until, forget_after FROM login_attempts \
             WHERE key IN (SELECT value ->> 'key' FROM json_each(?))",
    postgres: "INSERT INTO login_attempts AS a (key, restored_at, last_at, forget_after) \
               SELECT key, restored_at, last_at, forget_after \
               FROM json_to_recordset(?::json) AS j(key text, restored_at timestamptz, last_at timestamptz, \
               forget_after timestamptz) ORDER BY key COLLATE \"C\" \
               ON CONFLICT (key) DO UPDATE SET last_at = a.last_at \
               RETURNING key, restored_at, last_at, known_until, forget_after",
};

const PUT: Dialects = Dialects {
    sqlite: "INSERT INTO login_attempts (key, restored_at, last_at, known_until, forget_after) \
             SELECT value ->> 'key', value ->> 'restored_at', value ->> 'last_at', value ->> 'known_until', \
             value ->> 'forget_after' FROM json_each(?) WHERE true \
             ON CONFLICT (key) DO UPDATE SET restored_at = excluded.restored_at, last_at = excluded.last_at, \
             known_until = excluded.known_until, forget_after = excluded.forget_after",
    postgres: "UPDATE login_attempts AS a SET restored_at = j.restored_at, last_at = j.last_at, \
               known_until = j.known_until, forget_after = j.forget_after \
               FROM json_to_recordset(?::json) AS j(key text, restored_at timestamptz, last_at timestamptz, \
               known_until timestamptz, forget_after timestamptz) WHERE a.key = j.key",
};

shared_queries! {
    /// Counting inside a transaction.
    trait LoginThrottleQueries {
        /// Takes these counters, each named once, and gives all of them.
        async fn take_counters(conn, keys: Vec<CounterKey>, now: Timestamp)
            -> Result<BTreeMap<CounterKey, CounterRow>, StoreError> {
            let new: Vec<CounterRow> = keys.iter().map(|key| CounterRow::new(key.to_string(), now)).collect();
            let found: Vec<CounterRow> = conn.statement(TAKE).json(&new)?.load(conn).await?;
            let mut rows: BTreeMap<CounterKey, CounterRow> = keys.into_iter().zip(new).collect();
            for row in found {
                if let Some(known) = rows.values_mut().find(|known| known.key == row.key) {
                    *known = row;
                }
            }
            Ok(rows)
        }

        /// Writes counters that were taken.
        async fn put_counters(conn, rows: BTreeMap<CounterKey, CounterRow>) -> Result<(), StoreError> {
            let rows: Vec<CounterRow> = rows.into_values().collect();
            conn.statement(PUT).json(&rows)?.execute(conn).await?;
            Ok(())
        }

        /// Takes an attempt back, and makes its network known.
        async fn settle_attempt(conn, settlement: AttemptSettlement, now: Timestamp) -> Result<(), StoreError> {
            let AttemptSettlement { refund, known } = settlement;
            let (known, known_until) = known.map_or((Vec::new(), now), |(keys, until)| (keys, until));
            let mut keys: Vec<CounterKey> = refund.iter().map(|(key, _)| *key).chain(known.clone()).collect();
            keys.sort_unstable();
            keys.dedup();
            if keys.is_empty() {
                return Ok(());
            }
            let mut rows = conn.take_counters(keys, now).await?;
            for (key, kind) in refund {
                if let Some(row) = rows.get_mut(&key) {
                    row.set(kind, row.counter().refund(kind.budget()));
                }
            }
            for key in known {
                if let Some(row) = rows.get_mut(&key) {
                    row.known_until = Some(At(known_until));
                    row.keep_until(row.forget_after.0);
                }
            }
            conn.put_counters(rows).await
        }
    }
}

impl Store {
    /// Those of these counters that have counted anything.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn find_attempt_counters(
        &self,
        keys: &[CounterKey],
    ) -> Result<BTreeMap<CounterKey, FoundCounter>, StoreError> {
        let texts: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let rows: Vec<CounterRow> = reading!(self, |conn| {
            let query = login_attempts::table.filter(login_attempts::key.eq_any(texts));
            Ok(query.select(CounterRow::as_select()).load(conn).await?)
        })?;
        let found = |key: &CounterKey| {
            let text = key.to_string();
            let row = rows.iter().find(|row| row.key == text)?;
            let known_until = row.known_until.map(Timestamp::from);
            Some((*key, FoundCounter { counter: row.counter(), known_until }))
        };
        Ok(keys.iter().filter_map(found).collect())
    }

    /// Counts an attempt by all of these counters, or by none if it comes too early. Attempts that come at once are
    /// counted one after the other.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, counted.
    pub async fn reserve_attempt(
        &self,
        counters: Vec<(CounterKey, AttemptKind)>,
        now: Timestamp,
    ) -> Result<Result<Reserved, Throttled>, StoreError> {
        writing!(self, |conn| {
            let keys = counters.iter().map(|(key, _)| *key).collect();
            let mut rows = conn.take_counters(keys, now).await?;
            let row = |key: &CounterKey| rows.get(key).map_or(AttemptCounter::new(now), CounterRow::counter);
            let facts: Vec<_> = counters.iter().map(|(key, kind)| (*kind, row(key))).collect();
            let reserved = match reserve(&facts, now) {
                Ok(reserved) => reserved,
                Err(throttled) => return Ok(Err(throttled)),
            };
            for ((key, kind), counter) in counters.iter().zip(&reserved.counters) {
                if let Some(row) = rows.get_mut(key) {
                    row.set(*kind, *counter);
                }
            }
            conn.put_counters(rows).await?;
            Ok(Ok(reserved))
        })
    }

    /// Settles an attempt that has no other write to go with.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, settled.
    pub async fn settle_attempt(
        &self,
        settlement: AttemptSettlement,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        writing!(self, |conn| conn.settle_attempt(settlement, now).await)
    }
}
