//! Accounts.

use cryptopay_domain::{ApiKeyId, DisplayName, EmailAddress, SessionId, Timestamp, User, UserId, Username};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::RunQueryDsl;
use secrecy::{ExposeSecret, SecretString};

use crate::audit::{AuditEvent, AuditQueries};
use crate::moment::At;
use crate::revocation::{Revocation, RevocationQueries, Revoked};
use crate::schema::{api_keys, users};
use crate::session::SessionQueries;
use crate::{Store, StoreError};

/// An account to be made.
pub struct NewUser {
    /// The username.
    pub username: Username,
    /// The e-mail address.
    pub email: EmailAddress,
    /// The shop's name.
    pub shop_name: DisplayName,
    /// The password, hashed (a PHC string).
    pub password_hash: SecretString,
    /// When.
    pub created_at: Timestamp,
}

/// How making an account ended.
#[derive(Debug)]
pub enum InsertUserOutcome {
    /// It was made.
    Inserted(User),
    /// Another account has the username.
    UsernameTaken,
    /// Another account has the e-mail address.
    EmailTaken,
}

/// An account with its password hash, for checking a password alone.
pub struct UserCredentials {
    /// The account.
    pub user: User,
    /// Its password, hashed (a PHC string).
    pub password_hash: SecretString,
}

/// By which of its names an account is looked up; both in lookup form.
#[derive(Clone)]
pub enum UserKey {
    /// By number.
    Id(UserId),
    /// By username.
    Username(String),
    /// By e-mail address.
    Email(String),
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub(crate) struct UserRow {
    id: i64,
    username: String,
    email: String,
    shop_name: String,
    password_hash: String,
    created_at: At,
    disabled_at: Option<At>,
}

impl UserRow {
    pub(crate) fn into_user(self) -> User {
        User {
            id: UserId(self.id),
            username: self.username,
            email: self.email,
            shop_name: self.shop_name,
            created_at: self.created_at.0,
            disabled_at: self.disabled_at.map(Timestamp::from),
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = users)]
struct NewUserRow {
    username: String,
    username_lookup: String,
    email: String,
    email_lookup: String,
    shop_name: String,
    password_hash: String,
    created_at: At,
}

shared_queries! {
    /// What changes of credentials begin with.
    trait UserQueries {
        /// Takes the merchant's row, so that changes of one merchant's credentials happen one after the
        /// other, and tells whether the account is there and enabled.
        async fn lock_enabled_user(conn, user: UserId) -> Result<bool, StoreError> {
            let locked = diesel::update(users::table.find(user.0))
                .filter(users::disabled_at.is_null())
                .set(users::credentials_version.eq(users::credentials_version + 1))
                .execute(conn)
                .await?;
            Ok(locked == 1)
        }

        async fn is_username_taken(conn, lookup: String) -> Result<bool, StoreError> {
            let found: i64 =
                users::table.filter(users::username_lookup.eq(lookup)).count().get_result(conn).await?;
            Ok(found > 0)
        }

        async fn is_email_taken(conn, lookup: String) -> Result<bool, StoreError> {
            let found: i64 = users::table.filter(users::email_lookup.eq(lookup)).count().get_result(conn).await?;
            Ok(found > 0)
        }
    }
}

/// Whether a username or an address is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The username is.
    Username,
    /// The e-mail address is.
    Email,
}

impl Store {
    /// Whether the names of a new account are free, before anything slow is done for it.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn find_taken(
        &self,
        username: &Username,
        email: &EmailAddress,
    ) -> Result<Option<Taken>, StoreError> {
        let (username, email) = (username.lookup_form(), email.lookup_form());
        reading!(self, |conn| {
            if conn.is_username_taken(username).await? {
                return Ok(Some(Taken::Username));
            }
            Ok(conn.is_email_taken(email).await?.then_some(Taken::Email))
        })
    }

    /// Makes an account; `audit` is recorded with its number.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, made.
    pub async fn insert_user(
        &self,
        new: NewUser,
        audit: AuditEvent,
    ) -> Result<InsertUserOutcome, StoreError> {
        let (username, email) = (new.username.lookup_form(), new.email.lookup_form());
        let row = NewUserRow {
            username: new.username.to_string(),
            username_lookup: username.clone(),
            email: new.email.to_string(),
            email_lookup: email.clone(),
            shop_name: new.shop_name.to_string(),
            password_hash: new.password_hash.expose_secret().to_owned(),
            created_at: At(new.created_at),
        };
        let inserted: Result<User, StoreError> = writing!(self, |conn| {
            let user: UserRow = diesel::insert_into(users::table)
                .values(row)
                .returning(UserRow::as_returning())
                .get_result(conn)
                .await?;
            let user = user.into_user();
            conn.record(AuditEvent { user_id: Some(user.id), ..audit }).await?;
            Ok(user)
        });
        match inserted {
            Ok(user) => Ok(InsertUserOutcome::Inserted(user)),
            // Which of the two names it was is asked, not read out of the error's text.
            Err(StoreError::Database(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _))) => {
                let taken = reading!(self, |conn| conn.is_username_taken(username).await)?;
                Ok(if taken { InsertUserOutcome::UsernameTaken } else { InsertUserOutcome::EmailTaken })
            }
            Err(error) => Err(error),
        }
    }

    /// An account with its password hash.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn find_user_credentials(&self, key: UserKey) -> Result<Option<UserCredentials>, StoreError> {
        let row: Option<UserRow> = reading!(self, |conn| {
            let query = users::table.select(UserRow::as_select());
            let found = match key {
                UserKey::Id(id) => query.filter(users::id.eq(id.0)).first(conn).await,
                UserKey::Username(name) => query.filter(users::username_lookup.eq(name)).first(conn).await,
                UserKey::Email(email) => query.filter(users::email_lookup.eq(email)).first(conn).await,
            };
            Ok(found.optional()?)
        })?;
        Ok(row.map(|mut row| {
            let password_hash = SecretString::from(std::mem::take(&mut row.password_hash));
            UserCredentials { user: row.into_user(), password_hash }
        }))
    }

    /// An account.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn find_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.find_user_credentials(UserKey::Id(id)).await?.map(|found| found.user))
    }

    /// Renames a shop; `None` when the account is gone or disabled.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn rename_shop(
        &self,
        id: UserId,
        shop_name: DisplayName,
        audit: AuditEvent,
    ) -> Result<Option<User>, StoreError> {
        writing!(self, |conn| {
            let row: Option<UserRow> = diesel::update(users::table.find(id.0))
                .filter(users::disabled_at.is_null())
                .set(users::shop_name.eq(shop_name.to_string()))
                .returning(UserRow::as_returning())
                .get_result(conn)
                .await
                .optional()?;
            if row.is_some() {
                conn.record(audit).await?;
            }
            Ok(row.map(UserRow::into_user))
        })
    }

    /// Replaces a password hash that is still `verified`, ends every session but `keep`, and returns the
    /// ended ones; `None` when the password was changed, the session ended or the account disabled meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn change_password(
        &self,
        change: PasswordChange,
        audit: AuditEvent,
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        let outcome: Result<_, StoreError> = writing!(self, |conn| {
            let changed = diesel::update(users::table.find(change.user.0))
                .filter(users::password_hash.eq(change.verified.expose_secret().to_owned()))
                .filter(users::disabled_at.is_null())
                .set((
                    users::password_hash.eq(change.new.expose_secret().to_owned()),
                    users::credentials_version.eq(users::credentials_version + 1),
                ))
                .execute(conn)
                .await?;
            if changed == 0 {
                return Ok(None);
            }
            if !conn.is_session_live(change.keep, change.user).await? {
                return Err(StoreError::Database(DieselError::RollbackTransaction));
            }
            let others = conn.live_session_ids(change.user, Some(change.keep)).await?;
            let ended = conn.end_sessions(others, change.now).await?;
            conn.record(audit).await?;
            let ended = ended.into_iter().map(Revoked::Session).collect();
            Ok(Some(conn.revoke(ended, change.now).await?))
        });
        match outcome {
            Err(StoreError::Database(DieselError::RollbackTransaction)) => Ok(None),
            outcome => outcome,
        }
    }

    /// Disables or enables an account by its username in lookup form. Disabling ends its sessions and voids
    /// what replicas remember of its keys, which work again when it is enabled. `None` when there is no such
    /// account.
    ///
    /// # Errors
    /// [`StoreError`] when it was not, or perhaps not, written.
    pub async fn set_user_disabled(
        &self,
        username_lookup: String,
        disabled_at: Option<Timestamp>,
        now: Timestamp,
        audit: AuditEvent,
    ) -> Result<Option<(User, Vec<Revocation>)>, StoreError> {
        writing!(self, |conn| {
            let row: Option<UserRow> = diesel::update(users::table)
                .filter(users::username_lookup.eq(username_lookup))
                .set((
                    users::disabled_at.eq(crate::moment::at(disabled_at)),
                    users::credentials_version.eq(users::credentials_version + 1),
                ))
                .returning(UserRow::as_returning())
                .get_result(conn)
                .await
                .optional()?;
            let Some(user) = row.map(UserRow::into_user) else { return Ok(None) };
            let mut revoked = Vec::new();
            if disabled_at.is_some() {
                let live = conn.live_session_ids(user.id, None).await?;
                let ended: Vec<SessionId> = conn.end_sessions(live, now).await?;
                revoked.extend(ended.into_iter().map(Revoked::Session));
                let keys: Vec<String> = api_keys::table
                    .filter(api_keys::user_id.eq(user.id.0))
                    .filter(api_keys::revoked_at.is_null())
                    .select(api_keys::id)
                    .load(conn)
                    .await?;
                for key in keys {
                    let key: ApiKeyId =
                        key.parse().map_err(|_| StoreError::Corrupt { table: "api_keys", what: "id" })?;
                    revoked.push(Revoked::ApiKey(key));
                }
            }
            conn.record(AuditEvent { user_id: Some(user.id), ..audit }).await?;
            Ok(Some((user, conn.revoke(revoked, now).await?)))
        })
    }

    /// Accounts in order of their numbers, `limit` of those after `after`.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn list_users(&self, after: UserId, limit: usize) -> Result<Vec<User>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<UserRow> = reading!(self, |conn| {
            Ok(users::table
                .filter(users::id.gt(after.0))
                .order(users::id)
                .limit(limit)
                .select(UserRow::as_select())
                .load(conn)
                .await?)
        })?;
        Ok(rows.into_iter().map(UserRow::into_user).collect())
    }
}

/// A password change whose current password has been verified.
pub struct PasswordChange {
    /// Whose.
    pub user: UserId,
    /// The hash that the current password was verified against.
    pub verified: SecretString,
    /// The hash of the new password.
    pub new: SecretString,
    /// The session that asks for it, and stays.
    pub keep: SessionId,
    /// When.
    pub now: Timestamp,
}
