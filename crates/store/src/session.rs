//! Login sessions.

use std::collections::BTreeSet;

use cryptopay_domain::page::{Direction, Position};
use cryptopay_domain::session::{EarlierUses, RefreshLine};
use cryptopay_domain::{Page, PageRequest, Session, SessionId, Timestamp, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::audit::{AuditEvent, AuditQueries};
use crate::login_throttle::{AttemptSettlement, LoginThrottleQueries};
use crate::moment::{At, at};
use crate::pieces::in_pieces;
use crate::revocation::{Revocation, RevocationQueries, Revoked};
use crate::schema::{sessions, users};
use crate::statement::{Dialect, Dialects};
use crate::user::UserQueries;
use crate::{Store, StoreError};

/// A login whose password has been verified, to be written if nothing changed meanwhile.
pub struct VerifiedLogin {
    /// The session to begin.
    pub session: Session,
    /// The hash that the password was verified against.
    pub verified: SecretString,
    /// The same password hashed at today's cost, when that one was made at another.
    pub rehashed: Option<SecretString>,
    /// What becomes of the attempt that was counted before.
    pub attempt: AttemptSettlement,
}

/// That an access token with this refresh counter was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSighting {
    /// Of which session.
    pub session: SessionId,
    /// With which counter.
    pub counter: u64,
    /// When first.
    pub at: Timestamp,
}

/// A rotation of a session's refresh token, decided on what the row held.
pub struct SessionRotation {
    /// Which session.
    pub session: SessionId,
    /// The counter that the decision was made on.
    pub from_counter: u64,
    /// The line after it.
    pub line: RefreshLine,
    /// When the new refresh token expires.
    pub expires_at: Timestamp,
    /// When.
    pub now: Timestamp,
}

/// What marks a session.
#[derive(Clone, Copy)]
enum Mark {
    Seen(SessionSighting),
    Used(SessionId, Timestamp),
}

impl Mark {
    const fn session(&self) -> SessionId {
        match self {
            Self::Seen(sighting) => sighting.session,
            Self::Used(session, _) => *session,
        }
    }
}

/// Which of a user's sessions to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndSessions {
    /// This one.
    One(SessionId),
    /// All but this one.
    AllBut(SessionId),
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions)]
struct SessionRow {
    id: String,
    user_id: i64,
    created_at: At,
    last_used_at: At,
    expires_at: At,
    ip: String,
    user_agent: Option<String>,
    counter: i64,
    issued_at: At,
    mac_key: String,
    used_at: Option<At>,
    earlier_uses: String,
    ended_at: Option<At>,
}

fn counter_to_row(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}

impl From<Session> for SessionRow {
    fn from(session: Session) -> Self {
        Self {
            id: session.id.to_string(),
            user_id: session.user_id.0,
            created_at: At(session.created_at),
            last_used_at: At(session.last_used_at),
            expires_at: At(session.expires_at),
            ip: session.ip,
            user_agent: session.user_agent,
            counter: counter_to_row(session.line.counter),
            issued_at: At(session.line.issued_at),
            mac_key: session.line.mac_key,
            used_at: at(session.line.used_at),
            earlier_uses: session.line.earlier_uses.to_text(),
            ended_at: at(session.ended_at),
        }
    }
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let corrupt = |what| StoreError::Corrupt { table: "sessions", what };
        Ok(Self {
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            user_id: UserId(row.user_id),
            created_at: row.created_at.0,
            last_used_at: row.last_used_at.0,
            expires_at: row.expires_at.0,
            ip: row.ip,
            user_agent: row.user_agent,
            line: RefreshLine {
                counter: u64::try_from(row.counter).map_err(|_| corrupt("counter"))?,
                issued_at: row.issued_at.0,
                mac_key: row.mac_key,
                used_at: row.used_at.map(Timestamp::from),
                earlier_uses: EarlierUses::from_text(&row.earlier_uses)
                    .map_err(|_| corrupt("earlier uses"))?,
            },
            ended_at: row.ended_at.map(Timestamp::from),
        })
    }
}

fn session_id(text: &str) -> Result<SessionId, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt { table: "sessions", what: "id" })
}

shared_queries! {
    /// What ends sessions, inside the transaction of the cause.
    trait SessionQueries {
        async fn is_session_live(conn, session: SessionId, user: UserId) -> Result<bool, StoreError> {
            let live: i64 = sessions::table
                .find(session.to_string())
                .filter(sessions::user_id.eq(user.0))
                .filter(sessions::ended_at.is_null())
                .count()
                .get_result(conn)
                .await?;
            Ok(live == 1)
        }

        async fn live_session_ids(conn, user: UserId, but: Option<SessionId>) -> Result<Vec<String>, StoreError> {
            let mut query = sessions::table
                .filter(sessions::user_id.eq(user.0))
                .filter(sessions::ended_at.is_null())
                .select(sessions::id)
                .into_boxed();
            if let Some(but) = but {
                query = query.filter(sessions::id.ne(but.to_string()));
            }
            Ok(query.load(conn).await?)
        }

        /// Ends those of the sessions that have not ended yet, and returns them.
        async fn end_sessions(conn, ids: Vec<String>, now: Timestamp) -> Result<Vec<SessionId>, StoreError> {
            let mut ended = Vec::with_capacity(ids.len());
            // One by one in the order of their identifiers, as whoever takes several rows does: a statement
            // for all of them would take their locks in any order, and PostgreSQL break a deadlock with
            // another transaction by failing one of the two.
            let ids = BTreeSet::from_iter(ids);
            for id in ids {
                let changed = diesel::update(sessions::table.find(&id))
                    .filter(sessions::ended_at.is_null())
                    .set(sessions::ended_at.eq(Some(At(now))))
                    .execute(conn)
                    .await?;
                if changed == 1 {
                    ended.push(session_id(&id)?);
                }
            }
            Ok(ended)
        }
    }
}

/// The first sight of a refresh counter, as it goes into a statement.
#[derive(Serialize)]
struct Seen {
    id: String,
    counter: i64,
    at: At,
}

/// A use of a session, as it goes into a statement.
#[derive(Serialize)]
struct Used {
    id: String,
    at: At,
}

const MARK_SEEN: Dialects = Dialects {
    sqlite: "UPDATE sessions AS s SET used_at = u.at \
             FROM (SELECT value ->> 'id' AS id, value ->> 'counter' AS counter, min(value ->> 'at') AS at \
             FROM json_each(?) GROUP BY 1, 2) AS u \
             WHERE s.id = u.id AND s.counter = u.counter AND s.used_at IS NULL",
    postgres: "UPDATE sessions AS s SET used_at = u.at \
               FROM (SELECT id, counter, min(at) AS at \
               FROM json_to_recordset(?::json) AS j(id text, counter bigint, at timestamptz) \
               GROUP BY id, counter) AS u \
               WHERE s.id = u.id AND s.counter = u.counter AND s.used_at IS NULL",
};

const MARK_USED: Dialects = Dialects {
    sqlite: "UPDATE sessions AS s SET last_used_at = u.at \
             FROM (SELECT value ->> 'id' AS id, max(value ->> 'at') AS at FROM json_each(?) GROUP BY 1) AS u \
             WHERE s.id = u.id AND s.last_used_at < u.at",
    postgres: "UPDATE sessions AS s SET last_used_at = u.at \
               FROM (SELECT id, max(at) AS at FROM json_to_recordset(?::json) AS j(id text, at timestamptz) \
               GROUP BY id) AS u \
               WHERE s.id = u.id AND s.last_used_at < u.at",
};

locking_queries! {
    /// Taking sessions.
    trait SessionLocks {
        /// In the order of their identifiers, as whoever takes several rows does.
        async fn lock_sessions(ids: Vec<String>) -> Vec<String> = {
            sessions::table.filter(sessions::id.eq_any(ids)).order(sessions::id).select(sessions::id)
        }.for_no_key_update();
    }
}

impl Store {
    /// Begins a session if the user's password hash is still the one verified and the account enabled, and
    /// tells whether it did.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn insert_session(&self, login: VerifiedLogin, audit: AuditEvent) -> Result<bool, StoreError> {
        let VerifiedLogin { session, verified, rehashed, attempt } = login;
        let (user, now) = (session.user_id.0, session.created_at);
        let row = SessionRow::from(session);
        writing!(self, |conn| {
            let hash = rehashed.as_ref().unwrap_or(&verified).expose_secret().to_owned();
            let unchanged = diesel::update(users::table.find(user))
                .filter(users::password_hash.eq(verified.expose_secret().to_owned()))
                .filter(users::disabled_at.is_null())
                .set((
                    users::password_hash.eq(hash),
                    users::credentials_version.eq(users::credentials_version + 1),
                ))
                .execute(conn)
                .await?;
            if unchanged == 0 {
                return Ok(false);
            }
            diesel::insert_into(sessions::table).values(row).execute(conn).await?;
            conn.record(audit).await?;
            conn.settle_attempt(attempt, now).await?;
            Ok(true)
        })
    }

    /// A session, ended or not, with the username of its owner.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn find_session_with_username(
        &self,
        id: SessionId,
    ) -> Result<Option<(Session, String)>, StoreError> {
        let row: Option<(SessionRow, String)> = reading!(self, |conn| {
            let query = sessions::table
                .inner_join(users::table)
                .filter(sessions::id.eq(id.to_string()))
                .select((SessionRow::as_select(), users::username));
            Ok(query.first(conn).await.optional()?)
        })?;
        row.map(|(session, username)| Ok((Session::try_from(session)?, username))).transpose()
    }

    /// Whether a session is there and has not ended.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn is_session_live(&self, id: SessionId, user: UserId) -> Result<bool, StoreError> {
        reading!(self, |conn| conn.is_session_live(id, user).await)
    }

    /// Rotates a session's refresh token if its counter is still the one decided on and it has not ended, and
    /// tells whether it did.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn rotate_session(
        &self,
        rotation: SessionRotation,
        audit: AuditEvent,
    ) -> Result<bool, StoreError> {
        writing!(self, |conn| {
            let rotated = diesel::update(sessions::table.find(rotation.session.to_string()))
                .filter(sessions::counter.eq(counter_to_row(rotation.from_counter)))
                .filter(sessions::ended_at.is_null())
                .set((
                    sessions::counter.eq(counter_to_row(rotation.line.counter)),
                    sessions::issued_at.eq(At(rotation.line.issued_at)),
                    sessions::mac_key.eq(rotation.line.mac_key),
                    sessions::used_at.eq(at(rotation.line.used_at)),
                    sessions::earlier_uses.eq(rotation.line.earlier_uses.to_text()),
                    sessions::expires_at.eq(At(rotation.expires_at)),
                    sessions::last_used_at.eq(At(rotation.now)),
                ))
                .execute(conn)
                .await?;
            if rotated == 1 {
                conn.record(audit).await?;
            }
            Ok(rotated == 1)
        })
    }

    /// Ends sessions of a user and returns those that had not ended yet.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn end_sessions(
        &self,
        user: UserId,
        which: EndSessions,
        now: Timestamp,
        audit: AuditEvent,
    ) -> Result<Vec<Revocation>, StoreError> {
        writing!(self, |conn| {
            // A disabled user's sessions have ended already; the row is taken for the order of things.
            conn.lock_enabled_user(user).await?;
            let ids = match which {
                EndSessions::One(id) if conn.is_session_live(id, user).await? => vec![id.to_string()],
                EndSessions::One(_) => Vec::new(),
                EndSessions::AllBut(keep) => conn.live_session_ids(user, Some(keep)).await?,
            };
            let ended = conn.end_sessions(ids, now).await?;
            if !ended.is_empty() || matches!(which, EndSessions::AllBut(_)) {
                conn.record(audit).await?;
            }
            conn.revoke(ended.into_iter().map(Revoked::Session).collect(), now).await
        })
    }

    /// A user's sessions that have neither ended nor expired, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn list_sessions(
        &self,
        user: UserId,
        request: PageRequest<SessionId>,
        now: Timestamp,
    ) -> Result<Page<Session, SessionId>, StoreError> {
        let many = i64::try_from(request.limit.get() + 1).unwrap_or(i64::MAX);
        let rows: Vec<SessionRow> = reading!(self, |conn| {
            let mut query = sessions::table
                .filter(sessions::user_id.eq(user.0))
                .filter(sessions::ended_at.is_null())
                .filter(sessions::expires_at.gt(At(now)))
                .select(SessionRow::as_select())
                .limit(many)
                .into_boxed();
            query = match request.position {
                None => query.order(sessions::id.desc()),
                Some(Position { beside, direction: Direction::Older }) => {
                    query.filter(sessions::id.lt(beside.to_string())).order(sessions::id.desc())
                }
                Some(Position { beside, direction: Direction::Newer }) => {
                    query.filter(sessions::id.gt(beside.to_string())).order(sessions::id.asc())
                }
            };
            Ok(query.load(conn).await?)
        })?;
        let found = rows.into_iter().map(Session::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_found(found, &request, |session| session.id))
    }

    /// Records that access tokens were presented: the first sight of each counter, and last uses. They are
    /// written piece by piece; to write one again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] when not all of it was written, or perhaps not.
    pub async fn mark_sessions_seen(
        &self,
        sightings: Vec<SessionSighting>,
        uses: Vec<(SessionId, Timestamp)>,
    ) -> Result<(), StoreError> {
        let seen = sightings.into_iter().map(Mark::Seen);
        let used = uses.into_iter().map(|(session, at)| Mark::Used(session, at));
        for marks in in_pieces(seen.chain(used).collect(), Mark::session) {
            let ids: Vec<String> = marks.iter().map(|mark| mark.session().to_string()).collect();
            let (mut seen, mut used): (Vec<Seen>, Vec<Used>) = (Vec::new(), Vec::new());
            for mark in marks {
                let id = mark.session().to_string();
                match mark {
                    Mark::Seen(SessionSighting { counter, at, .. }) => {
                        seen.push(Seen { id, counter: counter_to_row(counter), at: At(at) });
                    }
                    Mark::Used(_, at) => used.push(Used { id, at: At(at) }),
                }
            }
            writing!(self, |conn| {
                conn.lock_sessions(ids).await?;
                conn.statement(MARK_SEEN).json(&seen)?.execute(conn).await?;
                conn.statement(MARK_USED).json(&used)?.execute(conn).await?;
                Ok(())
            })?;
        }
        Ok(())
    }
}
