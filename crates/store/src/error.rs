//! What can go wrong between the store and its database.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// Why a store operation has no result. Absence is an `Option` and a taken name an outcome, never this.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection could be had in time.
    #[error("no database connection could be had: {0}")]
    Connection(String),
    /// The database did not answer in time.
    #[error("the database did not answer within {0:?}")]
    Deadline(std::time::Duration),
    /// The database, or the connection to it, failed.
    #[error("database error: {0}")]
    Database(DieselError),
    /// The connection was lost during a commit: it may have happened or not.
    #[error("the outcome of a commit is unknown: {0}")]
    CommitUnknown(DieselError),
    /// The operation was cut short because its executor went away.
    #[error("the store is shutting down")]
    Closed,
    /// A row holds something this version cannot read.
    #[error("unreadable {what} in a row of {table}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column or value.
        what: &'static str,
    },
    /// The schema could not be brought up to date.
    #[error("migration failed: {0}")]
    Migration(String),
}

impl StoreError {
    /// Whether trying again later may help: the database is away, busy, full or read-only. A statement that
    /// it understood and refused is a defect of ours instead.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Deadline(_) | Self::CommitUnknown(_) | Self::Closed => true,
            Self::Database(error) => !matches!(
                error,
                DieselError::NotFound
                    | DieselError::QueryBuilderError(_)
                    | DieselError::SerializationError(_)
                    | DieselError::DeserializationError(_)
                    | DieselError::InvalidCString(_)
                    | DieselError::DatabaseError(
                        DatabaseErrorKind::UniqueViolation
                            | DatabaseErrorKind::ForeignKeyViolation
                            | DatabaseErrorKind::NotNullViolation
                            | DatabaseErrorKind::CheckViolation
                            | DatabaseErrorKind::ExclusionViolation,
                        _
                    )
            ),
            Self::Corrupt { .. } | Self::Migration(_) => false,
        }
    }

    /// Whether a write may or may not have happened.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::CommitUnknown(_) | Self::Deadline(_) | Self::Closed)
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        Self::Database(error)
    }
}
