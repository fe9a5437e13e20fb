//! The use of API keys, by day.

use std::collections::HashMap;

use cryptopay_domain::api_key_usage::{ApiKeyUsage, Day, DayUsage};
use cryptopay_domain::{ApiKeyId, Timestamp, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde::Serialize;

use crate::moment::{At, at};
use crate::schema::{api_key_days, api_keys};
use crate::statement::{Dialect, Dialects};
use crate::{Store, StoreError};

/// The use of a key on a day, as it goes into a statement.
#[derive(Serialize)]
struct Counted {
    id: String,
    day: String,
    requests: i64,
    refusals: i64,
    read: Option<At>,
    create_payments: Option<At>,
    manage_webhooks: Option<At>,
    full_access: Option<At>,
    verified: Option<At>,
}

impl From<(ApiKeyId, Day, DayUsage)> for Counted {
    fn from((key, day, usage): (ApiKeyId, Day, DayUsage)) -> Self {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        let [read, create_payments, manage_webhooks, full_access] = usage.permissions.map(at);
        Self {
            id: key.to_string(),
            day: day.to_string(),
            requests: number(usage.requests),
            refusals: number(usage.refusals),
            read,
            create_payments,
            manage_webhooks,
            full_access,
            verified: at(usage.verified),
        }
    }
}

/// Keys that are no longer there are left out. On PostgreSQL the others are held, in the order of their identifiers,
/// as whoever takes several does, so that they stay.
const ADD: Dialects = Dialects {
    sqlite: "INSERT INTO api_key_days AS d SELECT k.id, j.value ->> 'day', j.value ->> 'requests', \
             j.value ->> 'refusals', j.value ->> 'read', j.value ->> 'create_payments', \
             j.value ->> 'manage_webhooks', j.value ->> 'full_access', j.value ->> 'verified' \
             FROM json_each(?) AS j JOIN api_keys AS k ON k.id = j.value ->> 'id' WHERE true \
             ON CONFLICT (api_key_id, day) DO UPDATE SET requests = d.requests + excluded.requests, \
             refusals = d.refusals + excluded.refusals, \
             read_at = nullif(max(ifnull(d.read_at, ''), ifnull(excluded.read_at, '')), ''), \
             create_payments_at = \
             nullif(max(ifnull(d.create_payments_at, ''), ifnull(excluded.create_payments_at, '')), ''), \
             manage_webhooks_at = \
             nullif(max(ifnull(d.manage_webhooks_at, ''), ifnull(excluded.manage_webhooks_at, '')), ''), \
             full_access_at = nullif(max(ifnull(d.full_access_at, ''), ifnull(excluded.full_access_at, '')), ''), \
             verified_at = nullif(max(ifnull(d.verified_at, ''), ifnull(excluded.verified_at, '')), '')",
    postgres: "INSERT INTO api_key_days AS d SELECT u.* FROM (SELECT k.id, j.day, j.requests, j.refusals, j.read, \
               j.create_payments, j.manage_webhooks, j.full_access, j.verified FROM api_keys AS k \
               JOIN json_to_recordset(?::json) AS j(id text, day text, requests bigint, refusals bigint, \
               read timestamptz, create_payments timestamptz, manage_webhooks timestamptz, \
               full_access timestamptz, verified timestamptz) ON j.id = k.id \
               ORDER BY k.id, j.day FOR KEY SHARE OF k) AS u \
               ON CONFLICT (api_key_id, day) DO UPDATE SET requests = d.requests + excluded.requests, \
               refusals = d.refusals + excluded.refusals, read_at = greatest(d.read_at, excluded.read_at), \
               create_payments_at = greatest(d.create_payments_at, excluded.create_payments_at), \
               manage_webhooks_at = greatest(d.manage_webhooks_at, excluded.manage_webhooks_at), \
               full_access_at = greatest(d.full_access_at, excluded.full_access_at), \
               verified_at = greatest(d.verified_at, excluded.verified_at)",
};

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_key_days)]
struct DayRow {
    api_key_id: String,
    day: String,
    requests: i64,
    refusals: i64,
    read_at: Option<At>,
    create_payments_at: Option<At>,
    manage_webhooks_at: Option<At>,
    full_access_at: Option<At>,
    verified_at: Option<At>,
}

impl TryFrom<DayRow> for (ApiKeyId, Day, DayUsage) {
    type Error = StoreError;

    fn try_from(row: DayRow) -> Result<Self, StoreError> {
        let corrupt = |what| StoreError::Corrupt { table: "api_key_days", what };
        let permissions = [row.read_at, row.create_payments_at, row.manage_webhooks_at, row.full_access_at];
        let usage = DayUsage {
            requests: u64::try_from(row.requests).map_err(|_| corrupt("requests"))?,
            refusals: u64::try_from(row.refusals).map_err(|_| corrupt("refusals"))?,
            permissions: permissions.map(|at| at.map(Timestamp::from)),
            verified: row.verified_at.map(Timestamp::from),
        };
        let key = parse_id(&row.api_key_id)?;
        Ok((key, row.day.parse().map_err(|_| corrupt("day"))?, usage))
    }
}

fn parse_id(id: &str) -> Result<ApiKeyId, StoreError> {
    id.parse().map_err(|_| StoreError::Corrupt { table: "api_key_days", what: "api_key_id" })
}

impl Store {
    /// Adds what was counted, all of it or nothing. Unlike most of what is marked, to write it again counts it again.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn add_api_key_usage(&self, counted: Vec<(ApiKeyId, Day, DayUsage)>) -> Result<(), StoreError> {
        let counted: Vec<Counted> = counted.into_iter().map(Counted::from).collect();
        writing!(self, |conn| {
            conn.statement(ADD).json(&counted)?.execute(conn).await?;
            Ok(())
        })
    }

    /// What is known of the use, from the day `since` on, of those of `keys` that are the user's. Each of these has
    /// an entry.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn list_api_key_usage(
        &self,
        user: UserId,
        keys: Vec<ApiKeyId>,
        since: Day,
    ) -> Result<HashMap<ApiKeyId, ApiKeyUsage>, StoreError> {
        let ids: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let (own, under, days): (Vec<String>, Vec<String>, Vec<DayRow>) = reading!(self, |conn| {
            let own: Vec<String> = api_keys::table
                .filter(api_keys::user_id.eq(user.0).and(api_keys::id.eq_any(ids)))
                .select(api_keys::id)
                .load(conn)
                .await?;
            let parents: Vec<Option<String>> = api_keys::table
                .filter(api_keys::parent_id.eq_any(own.clone()).and(api_keys::revoked_at.is_null()))
                .select(api_keys::parent_id)
                .load(conn)
                .await?;
            let days: Vec<DayRow> = api_key_days::table
                .filter(api_key_days::api_key_id.eq_any(own.clone()))
                .filter(api_key_days::day.ge(since.to_string()))
                .select(DayRow::as_select())
                .load(conn)
                .await?;
            Ok((own, parents.into_iter().flatten().collect(), days))
        })?;
        let entry = |id: &String| Ok((parse_id(id)?, ApiKeyUsage::default()));
        let mut usage = own.iter().map(entry).collect::<Result<HashMap<_, _>, StoreError>>()?;
        for parent in under {
            usage.entry(parse_id(&parent)?).or_default().keys_under += 1;
        }
        for row in days {
            let (key, day, counted) = row.try_into()?;
            usage.entry(key).or_default().days.insert(day, counted);
        }
        Ok(usage)
    }
}
