//! The revocation feed: an append-only table that every replica tails into memory.

use std::time::Duration;

use cryptopay_domain::{ApiKeyId, SessionId, Timestamp};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;

use crate::moment::{At, Moment};
use crate::schema::{installation, revocations};
use crate::store::Backend;
use crate::{Store, StoreError};

/// How long after the last access token of a session could have expired its revocation is kept: clock skew,
/// and a reader that is late.
const SESSION_SLACK: Duration = Duration::from_secs(300);
/// How long a change of an API key is kept. A replica remembers a key for at most a minute.
const API_KEY_SLACK: Duration = Duration::from_secs(900);

/// What a row of the feed tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// The session has ended: none of its access tokens is good any more.
    Session(SessionId),
    /// Every session that began before this moment has ended, those that the database does not know included:
    /// a restored backup has never heard of the sessions that began after it was made.
    SessionsBegunBefore(Timestamp),
    /// The key was changed, rotated or revoked: what was remembered of it is void.
    ApiKey(ApiKeyId),
}

/// A row of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What ended or changed.
    pub revoked: Revoked,
    /// When it may be forgotten, because everything it speaks of has expired.
    pub forget_after: Timestamp,
}

/// How far a reader of the feed has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedPosition {
    /// The last number seen. On SQLite writes are one after the other, so numbers are commit order.
    Number(i64),
    /// The snapshot of the last read. On PostgreSQL numbers are not commit order: a transaction that took
    /// its number early may commit late. What one snapshot sees and an earlier one did not is exactly what
    /// was committed in between, whoever else holds a transaction open.
    Snapshot(String),
}

/// What one look at the feed found.
#[derive(Clone, Debug)]
pub struct FeedRead {
    /// The rows that are new since the position asked from.
    pub revocations: Vec<Revocation>,
    /// Where to go on.
    pub position: FeedPosition,
    /// The installation's generation at that moment.
    pub generation: u64,
}

#[derive(QueryableByName)]
struct FeedRow {
    #[diesel(sql_type = Nullable<BigInt>)]
    id: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    kind: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    subject: Option<String>,
    #[diesel(sql_type = Nullable<Moment>)]
    forget_after: Option<At>,
    #[diesel(sql_type = BigInt)]
    generation: i64,
    #[diesel(sql_type = Text)]
    snapshot: String,
}

impl FeedRow {
    fn revocation(&self) -> Result<Option<Revocation>, StoreError> {
        let (Some(kind), Some(subject), Some(forget_after)) = (&self.kind, &self.subject, self.forget_after)
        else {
            return Ok(None);
        };
        let corrupt = StoreError::Corrupt { table: "revocations", what: "subject" };
        let revoked = match kind.as_str() {
            "session" => subject.parse().map(Revoked::Session),
            "api_key" => subject.parse().map(Revoked::ApiKey),
            "sessions_begun_before" => match subject.parse() {
                Ok(micros) => Ok(Revoked::SessionsBegunBefore(Timestamp::from_unix_micros(micros))),
                Err(_) => return Err(corrupt),
            },
            // A later version's row: it speaks of something this one never remembers.
            _ => return Ok(None),
        };
        match revoked {
            Ok(revoked) => Ok(Some(Revocation { revoked, forget_after: forget_after.0 })),
            Err(_) => Err(corrupt),
        }
    }
}

impl Revoked {
    const fn kind(self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::SessionsBegunBefore(_) => "sessions_begun_before",
            Self::ApiKey(_) => "api_key",
        }
    }

    fn subject(self) -> String {
        match self {
            Self::Session(id) => id.to_string(),
            Self::SessionsBegunBefore(moment) => moment.unix_micros().to_string(),
            Self::ApiKey(id) => id.to_string(),
        }
    }
}

shared_queries! {
    /// Writing to the feed inside the transaction of the cause.
    trait RevocationQueries {
        /// Appends rows and returns them for this replica to apply after the commit.
        async fn revoke(conn, revoked: Vec<Revoked>, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
            if revoked.is_empty() {
                return Ok(Vec::new());
            }
            // The longest life that any access token was ever issued with, not today's configuration.
            let longest: i64 =
                installation::table.select(installation::longest_access_ttl).first(conn).await?;
            let access = Duration::from_secs(u64::try_from(longest).unwrap_or(0));
            let rows: Vec<Revocation> = revoked
                .into_iter()
                .map(|revoked| {
                    let kept = match revoked {
                        Revoked::Session(_) | Revoked::SessionsBegunBefore(_) => access + SESSION_SLACK,
                        Revoked::ApiKey(_) => API_KEY_SLACK,
                    };
                    Revocation { revoked, forget_after: now.after(kept) }
                })
                .collect();
            for row in &rows {
                diesel::insert_into(revocations::table)
                    .values((
                        revocations::kind.eq(row.revoked.kind()),
                        revocations::subject.eq(row.revoked.subject()),
                        revocations::recorded_at.eq(At(now)),
                        revocations::forget_after.eq(At(row.forget_after)),
                    ))
                    .execute(conn)
                    .await?;
            }
            Ok(rows)
        }
    }
}

/// Everything that is still worth knowing, and where to go on from. One statement, so one snapshot.
const SQLITE_FEED: &str = "SELECT r.id, r.kind, r.subject, r.forget_after, i.generation, '' AS snapshot \
     FROM installation i LEFT JOIN revocations r ON r.id > ? AND r.forget_after > ? ORDER BY r.id";
const POSTGRES_FEED: &str = "SELECT r.id, r.kind, r.subject, r.forget_after, i.generation, \
     pg_current_snapshot()::text AS snapshot \
     FROM installation i LEFT JOIN revocations r ON r.forget_after > $1";
const POSTGRES_TAIL: &str = "SELECT r.id, r.kind, r.subject, r.forget_after, i.generation, \
     pg_current_snapshot()::text AS snapshot \
     FROM installation i LEFT JOIN revocations r \
     ON r.transaction_id >= pg_snapshot_xmin($1::pg_snapshot) \
     AND NOT pg_visible_in_snapshot(r.transaction_id, $1::pg_snapshot)";

impl Store {
    /// Reads what is new in the feed since `position`, or all that is not yet to be forgotten at `now`.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer or a row is unreadable.
    pub async fn read_revocations(
        &self,
        position: Option<FeedPosition>,
        now: Timestamp,
    ) -> Result<FeedRead, StoreError> {
        let is_sqlite = matches!(&*self.backend, Backend::Sqlite(_));
        let after = match &position {
            Some(FeedPosition::Number(number)) => *number,
            _ => 0,
        };
        let rows: Vec<FeedRow> = reading!(self, |conn| {
            let query = match position {
                _ if is_sqlite => diesel::sql_query(SQLITE_FEED)
                    .into_boxed()
                    .bind::<BigInt, _>(after)
                    .bind::<Moment, _>(At(now)),
                Some(FeedPosition::Snapshot(snapshot)) => {
                    diesel::sql_query(POSTGRES_TAIL).into_boxed().bind::<Text, _>(snapshot)
                }
                _ => diesel::sql_query(POSTGRES_FEED).into_boxed().bind::<Moment, _>(At(now)),
            };
            Ok(query.load(conn).await?)
        })?;
        let first =
            rows.as_slice().first().ok_or(StoreError::Corrupt { table: "installation", what: "row" })?;
        let position = if is_sqlite {
            FeedPosition::Number(rows.iter().filter_map(|row| row.id).max().unwrap_or(after))
        } else {
            FeedPosition::Snapshot(first.snapshot.clone())
        };
        let generation = u64::try_from(first.generation)
            .map_err(|_| StoreError::Corrupt { table: "installation", what: "generation" })?;
        let revocations =
            rows.iter().filter_map(|row| row.revocation().transpose()).collect::<Result<_, _>>()?;
        Ok(FeedRead { revocations, position, generation })
    }
}
