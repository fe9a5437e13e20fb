//! API keys.

use std::collections::HashSet;

use cryptopay_domain::api_key::ApiKey;
use cryptopay_domain::page::{Direction, Position};
use cryptopay_domain::{ApiKeyId, Page, PageRequest, PermissionSet, SessionId, Timestamp, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde::Serialize;

use crate::audit::{AuditEvent, AuditQueries};
use crate::moment::{At, at};
use crate::pieces::in_pieces;
use crate::revocation::{Revocation, RevocationQueries, Revoked};
use crate::schema::{api_keys, users};
use crate::session::SessionQueries;
use crate::statement::{Dialect, Dialects};
use crate::user::UserQueries;
use crate::{Store, StoreError};

/// A key with the account it belongs to: what checking a presented key needs.
#[derive(Clone, Debug)]
pub struct ApiKeyWithUser {
    /// The key.
    pub key: ApiKey,
    /// The username.
    pub username: String,
    /// When the account was disabled, if it was.
    pub user_disabled_at: Option<Timestamp>,
}

/// Who changes keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyActor {
    /// A login: every key of the merchant is in its reach.
    Session(SessionId),
    /// A key: itself and those under it.
    Key(ApiKeyId),
    /// The operator, on the command line.
    Operator,
}

/// What a change of keys is decided on, read under the merchant's lock.
#[derive(Clone, Debug)]
pub struct ApiKeyFacts {
    /// The acting key, if a key acts.
    pub maker: Option<ApiKey>,
    /// The key to be changed, if it exists within the actor's reach.
    pub key: Option<ApiKey>,
    /// The successor of that key, if it was rotated.
    pub successor: Option<ApiKey>,
    /// All keys under that key.
    pub under: Vec<ApiKey>,
    /// All keys under that successor.
    pub under_successor: Vec<ApiKey>,
    /// How many keys of the merchant are active.
    pub active: usize,
}

/// What to write.
#[derive(Clone, Debug, Default)]
pub struct ApiKeyPlan {
    /// A key to add, with its hash.
    pub insert: Option<(ApiKey, [u8; 32])>,
    /// Keys as they are to be from now on.
    pub changes: Vec<ApiKey>,
    /// What to record.
    pub audit: Vec<AuditEvent>,
}

/// How a change of keys ended.
#[derive(Debug)]
pub enum ApiKeyWrite<T, R> {
    /// It was written.
    Written {
        /// What the decision answers.
        answer: T,
        /// The feed's new rows, for this replica to apply.
        revocations: Vec<Revocation>,
    },
    /// The rules refuse it.
    Refused(R),
    /// The account is disabled, the acting session has ended, or the acting key is not there.
    ActorGone,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_keys)]
struct ApiKeyRow {
    id: String,
    user_id: i64,
    parent_id: Option<String>,
    name: String,
    prefix: String,
    permissions: String,
    created_at: At,
    expires_at: Option<At>,
    overlap_ends_at: Option<At>,
    revoked_at: Option<At>,
    successor_id: Option<String>,
    last_used_at: Option<At>,
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        let corrupt = |what| StoreError::Corrupt { table: "api_keys", what };
        let parse = |id: Option<String>, what| {
            id.map(|id| id.parse::<ApiKeyId>()).transpose().map_err(|_| corrupt(what))
        };
        Ok(Self {
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            user_id: UserId(row.user_id),
            parent: parse(row.parent_id, "parent_id")?,
            name: row.name,
            prefix: row.prefix,
            permissions: PermissionSet::from_comma_separated(&row.permissions)
                .map_err(|_| corrupt("permissions"))?,
            created_at: row.created_at.0,
            expires_at: row.expires_at.map(Timestamp::from),
            overlap_ends_at: row.overlap_ends_at.map(Timestamp::from),
            revoked_at: row.revoked_at.map(Timestamp::from),
            successor: parse(row.successor_id, "successor_id")?,
            last_used_at: row.last_used_at.map(Timestamp::from),
        })
    }
}

fn keys_of(rows: Vec<ApiKeyRow>) -> Result<Vec<ApiKey>, StoreError> {
    rows.into_iter().map(ApiKey::try_from).collect()
}

/// A use of a key, as it goes into a statement.
#[derive(Serialize)]
struct Use {
    id: String,
    at: At,
}

impl From<(ApiKeyId, Timestamp)> for Use {
    fn from((key, at): (ApiKeyId, Timestamp)) -> Self {
        Self { id: key.to_string(), at: At(at) }
    }
}

/// On PostgreSQL the rows are taken in the order of their identifiers, as whoever takes several does.
const MARK_USED: Dialects = Dialects {
    sqlite: "UPDATE api_keys AS k SET last_used_at = u.at \
             FROM (SELECT value ->> 'id' AS id, max(value ->> 'at') AS at FROM json_each(?) GROUP BY 1) AS u \
             WHERE k.id = u.id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)",
    postgres: "UPDATE api_keys AS k SET last_used_at = u.at \
               FROM (SELECT h.id, r.at FROM api_keys h \
               JOIN (SELECT id, max(at) AS at FROM json_to_recordset(?::json) AS j(id text, at timestamptz) \
               GROUP BY id) AS r ON h.id = r.id AND (h.last_used_at IS NULL OR h.last_used_at < r.at) \
               ORDER BY h.id FOR NO KEY UPDATE OF h) AS u \
               WHERE k.id = u.id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)",
};

shared_queries! {
    /// The family of keys.
    trait ApiKeyQueries {
        async fn find_key(conn, user: UserId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
            let row: Option<ApiKeyRow> = api_keys::table
                .find(id.to_string())
                .filter(api_keys::user_id.eq(user.0))
                .select(ApiKeyRow::as_select())
                .first(conn)
                .await
                .optional()?;
            row.map(ApiKey::try_from).transpose()
        }

        /// All keys under `root`, nearest first.
        async fn keys_under(conn, root: ApiKeyId) -> Result<Vec<ApiKey>, StoreError> {
            let mut seen = HashSet::from([root]);
            let mut generation = vec![root.to_string()];
            let mut found: Vec<ApiKey> = Vec::new();
            while !generation.is_empty() {
                let mut next: Vec<ApiKey> = Vec::new();
                // In pieces, since a statement takes only so many parameters.
                for piece in generation.chunks(500) {
                    let rows: Vec<ApiKeyRow> = api_keys::table
                        .filter(api_keys::parent_id.eq_any(piece.to_vec()))
                        .select(ApiKeyRow::as_select())
                        .load(conn)
                        .await?;
                    next.extend(keys_of(rows)?);
                }
                next.retain(|key| seen.insert(key.id));
                generation = next.iter().map(|key| key.id.to_string()).collect();
                found.extend(next);
            }
            Ok(found)
        }

        /// Whether a key is within the actor's reach: a login's are all, a key's itself and those under it.
        async fn is_within_reach(conn, user: UserId, actor: KeyActor, id: ApiKeyId) -> Result<bool, StoreError> {
            let KeyActor::Key(acting) = actor else { return Ok(true) };
            let mut seen = HashSet::new();
            let mut current = Some(id);
            while let Some(id) = current.filter(|id| seen.insert(*id)) {
                if id == acting {
                    return Ok(true);
                }
                current = conn.find_key(user, id).await?.and_then(|key| key.parent);
            }
            Ok(false)
        }

        async fn api_key_facts(conn, user: UserId, actor: KeyActor, target: Option<ApiKeyId>, now: Timestamp)
            -> Result<ApiKeyFacts, StoreError> {
            let maker = match actor {
                KeyActor::Key(id) => conn.find_key(user, id).await?,
                KeyActor::Session(_) | KeyActor::Operator => None,
            };
            let key = match target {
                Some(id) if conn.is_within_reach(user, actor, id).await? => conn.find_key(user, id).await?,
                _ => None,
            };
            let under = match &key {
                Some(key) => conn.keys_under(key.id).await?,
                None => Vec::new(),
            };
            let successor = match key.as_ref().and_then(|key| key.successor) {
                Some(id) => conn.find_key(user, id).await?,
                None => None,
            };
            let under_successor = match &successor {
                Some(successor) => conn.keys_under(successor.id).await?,
                None => Vec::new(),
            };
            let active: i64 = api_keys::table
                .filter(api_keys::user_id.eq(user.0))
                .filter(api_keys::revoked_at.is_null())
                .filter(api_keys::overlap_ends_at.is_null())
                .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(At(now))))
                .count()
                .get_result(conn)
                .await?;
            let active = usize::try_from(active).unwrap_or(usize::MAX);
            Ok(ApiKeyFacts { maker, key, successor, under, under_successor, active })
        }

        async fn insert_key(conn, key: ApiKey, hash: [u8; 32]) -> Result<(), StoreError> {
            diesel::insert_into(api_keys::table)
                .values((
                    api_keys::id.eq(key.id.to_string()),
                    api_keys::user_id.eq(key.user_id.0),
                    api_keys::parent_id.eq(key.parent.map(|id| id.to_string())),
                    api_keys::name.eq(key.name.clone()),
                    api_keys::prefix.eq(key.prefix.clone()),
                    api_keys::hash.eq(hash.to_vec()),
                    api_keys::permissions.eq(key.permissions.to_comma_separated()),
                    api_keys::created_at.eq(At(key.created_at)),
                    api_keys::expires_at.eq(at(key.expires_at)),
                    api_keys::listed_until.eq(at(key.listed_until())),
                ))
                .execute(conn)
                .await?;
            Ok(())
        }

        async fn update_key(conn, key: ApiKey) -> Result<(), StoreError> {
            diesel::update(api_keys::table.find(key.id.to_string()))
                .set((
                    api_keys::parent_id.eq(key.parent.map(|id| id.to_string())),
                    api_keys::name.eq(key.name.clone()),
                    api_keys::permissions.eq(key.permissions.to_comma_separated()),
                    api_keys::overlap_ends_at.eq(at(key.overlap_ends_at)),
                    api_keys::revoked_at.eq(at(key.revoked_at)),
                    api_keys::successor_id.eq(key.successor.map(|id| id.to_string())),
                    api_keys::listed_until.eq(at(key.listed_until())),
                ))
                .execute(conn)
                .await?;
            Ok(())
        }
    }
}

impl Store {
    /// A key by the hash of what was presented, with its account.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn find_api_key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKeyWithUser>, StoreError> {
        let row: Option<(ApiKeyRow, String, Option<At>)> = reading!(self, |conn| {
            let query = api_keys::table
                .inner_join(users::table)
                .filter(api_keys::hash.eq(hash.to_vec()))
                .select((ApiKeyRow::as_select(), users::username, users::disabled_at));
            Ok(query.first(conn).await.optional()?)
        })?;
        row.map(|(key, username, disabled_at)| {
            let user_disabled_at = disabled_at.map(Timestamp::from);
            Ok(ApiKeyWithUser { key: ApiKey::try_from(key)?, username, user_disabled_at })
        })
        .transpose()
    }

    /// A key within the actor's reach.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn find_api_key(
        &self,
        user: UserId,
        actor: KeyActor,
        id: ApiKeyId,
    ) -> Result<Option<ApiKey>, StoreError> {
        reading!(self, |conn| {
            let reachable = conn.is_within_reach(user, actor, id).await?;
            if reachable { conn.find_key(user, id).await } else { Ok(None) }
        })
    }

    /// The account that a key belongs to.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn find_api_key_owner(&self, id: ApiKeyId) -> Result<Option<UserId>, StoreError> {
        reading!(self, |conn| {
            let query = api_keys::table.find(id.to_string()).select(api_keys::user_id);
            Ok(query.first::<i64>(conn).await.optional()?.map(UserId))
        })
    }

    /// The keys within the actor's reach that are still listed, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn list_api_keys(
        &self,
        user: UserId,
        actor: KeyActor,
        request: PageRequest<ApiKeyId>,
        now: Timestamp,
    ) -> Result<Page<ApiKey, ApiKeyId>, StoreError> {
        let many = request.limit.get() + 1;
        let found: Vec<ApiKey> = reading!(self, |conn| {
            if let KeyActor::Key(root) = actor {
                // A key's family is small enough to be paged in memory.
                let Some(root) = conn.find_key(user, root).await? else { return Ok(Vec::new()) };
                let mut family = conn.keys_under(root.id).await?;
                family.push(root);
                family.retain(|key| key.listed_until().is_none_or(|until| until > now));
                family.sort_by_key(|key| std::cmp::Reverse(key.id));
                match request.position {
                    None => {}
                    Some(Position { beside, direction: Direction::Older }) => {
                        family.retain(|key| key.id < beside);
                    }
                    Some(Position { beside, direction: Direction::Newer }) => {
                        family.retain(|key| key.id > beside);
                        family.reverse();
                    }
                }
                family.truncate(many);
                return Ok(family);
            }
            let mut query = api_keys::table
                .filter(api_keys::user_id.eq(user.0))
                .filter(api_keys::listed_until.is_null().or(api_keys::listed_until.gt(At(now))))
                .select(ApiKeyRow::as_select())
                .limit(i64::try_from(many).unwrap_or(i64::MAX))
                .into_boxed();
            query = match request.position {
                None => query.order(api_keys::id.desc()),
                Some(Position { beside, direction: Direction::Older }) => {
                    query.filter(api_keys::id.lt(beside.to_string())).order(api_keys::id.desc())
                }
                Some(Position { beside, direction: Direction::Newer }) => {
                    query.filter(api_keys::id.gt(beside.to_string())).order(api_keys::id.asc())
                }
            };
            keys_of(query.load(conn).await?)
        })?;
        Ok(Page::from_found(found, &request, |key| key.id))
    }

    /// Changes keys: reads the facts under the merchant's lock, lets `decide` make a plan of them, and writes
    /// it, all in one transaction. Every changed key is told to the feed.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn change_api_keys<T, R, F>(
        &self,
        user: UserId,
        actor: KeyActor,
        target: Option<ApiKeyId>,
        now: Timestamp,
        decide: F,
    ) -> Result<ApiKeyWrite<T, R>, StoreError>
    where
        T: Send + 'static,
        R: Send + 'static,
        F: FnOnce(ApiKeyFacts) -> Result<(ApiKeyPlan, T), R> + Send + 'static,
    {
        writing!(self, |conn| {
            let enabled = conn.lock_enabled_user(user).await?;
            let live = match actor {
                KeyActor::Operator => true,
                KeyActor::Session(session) => enabled && conn.is_session_live(session, user).await?,
                KeyActor::Key(_) => enabled,
            };
            if !live {
                return Ok(ApiKeyWrite::ActorGone);
            }
            let facts = conn.api_key_facts(user, actor, target, now).await?;
            // Without its key, an acting key would look like a login to the rules.
            if matches!(actor, KeyActor::Key(_)) && facts.maker.is_none() {
                return Ok(ApiKeyWrite::ActorGone);
            }
            let (mut plan, answer) = match decide(facts) {
                Ok(decided) => decided,
                Err(rejection) => return Ok(ApiKeyWrite::Refused(rejection)),
            };
            if let Some((key, hash)) = plan.insert {
                conn.insert_key(key, hash).await?;
            }
            // In the order in which `mark_api_keys_used` takes them.
            plan.changes.sort_by_key(|key| key.id);
            let changed = plan.changes.iter().map(|key| Revoked::ApiKey(key.id)).collect();
            for key in plan.changes {
                conn.update_key(key).await?;
            }
            for event in plan.audit {
                conn.record(event).await?;
            }
            Ok(ApiKeyWrite::Written { answer, revocations: conn.revoke(changed, now).await? })
        })
    }

    /// Records when keys were last presented, piece by piece; to write one again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] when not all of it was written, or perhaps not.
    pub async fn mark_api_keys_used(&self, uses: Vec<(ApiKeyId, Timestamp)>) -> Result<(), StoreError> {
        for uses in in_pieces(uses, |(key, _)| *key) {
            let uses: Vec<Use> = uses.into_iter().map(Use::from).collect();
            writing!(self, |conn| {
                conn.statement(MARK_USED).json(&uses)?.execute(conn).await?;
                Ok(())
            })?;
        }
        Ok(())
    }
}
