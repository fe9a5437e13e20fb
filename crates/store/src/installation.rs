//! What this installation is: written at first start, checked at every other one.

use cryptopay_domain::{Environment, Timestamp};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::audit::{AuditEvent, AuditQueries};
use crate::moment::At;
use crate::revocation::{Revocation, RevocationQueries, Revoked};
use crate::schema::{installation, sessions};
use crate::session::SessionQueries;
use crate::{Store, StoreError};

/// The installation's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Sandbox or production.
    pub environment: Environment,
    /// The issuer of its tokens: its public URL.
    pub issuer: String,
    /// Bound into every refresh token.
    pub generation: u64,
    /// The identifier of the active signing key.
    pub signing_key: String,
    /// The identifier of the key that secrets are sealed with; `None` until a core with encryption keys has run.
    pub encryption_key: Option<String>,
    /// The longest life, in seconds, that any access token was ever issued with.
    pub longest_access_ttl: u64,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = installation)]
struct InstallationRow {
    id: i64,
    environment: String,
    issuer: String,
    generation: i64,
    signing_key: String,
    encryption_key: Option<String>,
    longest_access_ttl: i64,
    created_at: At,
}

impl TryFrom<InstallationRow> for Installation {
    type Error = StoreError;

    fn try_from(row: InstallationRow) -> Result<Self, StoreError> {
        let corrupt = |what| StoreError::Corrupt { table: "installation", what };
        Ok(Self {
            environment: row.environment.parse().map_err(|_| corrupt("environment"))?,
            issuer: row.issuer,
            generation: u64::try_from(row.generation).map_err(|_| corrupt("generation"))?,
            signing_key: row.signing_key,
            encryption_key: row.encryption_key,
            longest_access_ttl: u64::try_from(row.longest_access_ttl).map_err(|_| corrupt("access ttl"))?,
        })
    }
}

impl Store {
    /// Writes the installation's identity if there is none, and returns the one that is there.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn get_or_insert_installation(
        &self,
        new: Installation,
        now: Timestamp,
    ) -> Result<Installation, StoreError> {
        let row = InstallationRow {
            id: 1,
            environment: new.environment.to_string(),
            issuer: new.issuer,
            generation: i64::try_from(new.generation).unwrap_or(i64::MAX),
            signing_key: new.signing_key,
            encryption_key: new.encryption_key,
            longest_access_ttl: i64::try_from(new.longest_access_ttl).unwrap_or(i64::MAX),
            created_at: At(now),
        };
        writing!(self, |conn| {
            diesel::insert_into(installation::table)
                .values(row)
                .on_conflict_do_nothing()
                .execute(conn)
                .await?;
            let row = installation::table.select(InstallationRow::as_select()).first(conn).await?;
            Installation::try_from(row)
        })
    }

    /// The installation's identity, if it has one yet.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn find_installation(&self) -> Result<Option<Installation>, StoreError> {
        reading!(self, |conn| {
            let row =
                installation::table.select(InstallationRow::as_select()).first(conn).await.optional()?;
            row.map(Installation::try_from).transpose()
        })
    }

    /// Remembers that access tokens may live `seconds`, if that is longer than ever before.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn raise_longest_access_ttl(&self, seconds: u64) -> Result<(), StoreError> {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        writing!(self, |conn| {
            diesel::update(installation::table)
                .filter(installation::longest_access_ttl.lt(seconds))
                .set(installation::longest_access_ttl.eq(seconds))
                .execute(conn)
                .await?;
            Ok(())
        })
    }

    /// Records that `kid` is the active signing key now.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn set_signing_key(&self, kid: String) -> Result<(), StoreError> {
        writing!(self, |conn| {
            diesel::update(installation::table).set(installation::signing_key.eq(kid)).execute(conn).await?;
            Ok(())
        })
    }

    /// Records that secrets are sealed with this key if no key is recorded, and returns the one that is.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer, or has no installation.
    pub async fn get_or_set_encryption_key(&self, key: String) -> Result<String, StoreError> {
        writing!(self, |conn| {
            diesel::update(installation::table)
                .filter(installation::encryption_key.is_null())
                .set(installation::encryption_key.eq(key))
                .execute(conn)
                .await?;
            let recorded: Option<String> =
                installation::table.select(installation::encryption_key).first(conn).await?;
            recorded.ok_or(StoreError::Corrupt { table: "installation", what: "encryption key" })
        })
    }

    /// Records that secrets are sealed with this key now.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn set_encryption_key(&self, key: String) -> Result<(), StoreError> {
        writing!(self, |conn| {
            diesel::update(installation::table)
                .set(installation::encryption_key.eq(key))
                .execute(conn)
                .await?;
            Ok(())
        })
    }

    /// Records that tokens are issued under another name from now on.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn set_issuer(&self, issuer: String) -> Result<(), StoreError> {
        writing!(self, |conn| {
            diesel::update(installation::table).set(installation::issuer.eq(issuer)).execute(conn).await?;
            Ok(())
        })
    }

    /// Raises the generation and ends every session, known or not: what has to follow the restoring of a
    /// backup.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn end_all_sessions(
        &self,
        now: Timestamp,
        audit: AuditEvent,
    ) -> Result<Vec<Revocation>, StoreError> {
        writing!(self, |conn| {
            diesel::update(installation::table)
                .set(installation::generation.eq(installation::generation + 1))
                .execute(conn)
                .await?;
            let live: Vec<String> =
                sessions::table.filter(sessions::ended_at.is_null()).select(sessions::id).load(conn).await?;
            let ended = conn.end_sessions(live, now).await?;
            conn.record(audit).await?;
            let known = ended.into_iter().map(Revoked::Session);
            conn.revoke(known.chain([Revoked::SessionsBegunBefore(now)]).collect(), now).await
        })
    }
}
