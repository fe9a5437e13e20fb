//! How a use case can fail.

use std::time::Duration;

use cryptopay_store::StoreError;

use crate::hasher::HasherError;

/// What a use case answers: its result, or why there is none.
pub type Outcome<T, R> = Result<T, Failure<R>>;

/// Why a use case has no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure<R> {
    /// The caller asked for something that the rules refuse; `R` may be shown to them.
    #[error("refused")]
    Rejected(R),
    /// The service cannot answer now: the hasher's queue is full or the store is out of reach.
    #[error("unavailable, try again in {retry_after:?}")]
    Unavailable {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// Something is broken. It was logged with its causes and must be answered opaquely.
    #[error("fault")]
    Fault,
}

/// How long a caller is asked to wait when the store is out of reach.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(1);

impl<R> Failure<R> {
    /// Logs `error` with the chain of its causes and makes a [`Failure::Fault`] of it.
    pub fn fault(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            chain.push_str(": ");
            chain.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::error!(error = %chain, "fault");
        Self::Fault
    }

    /// What is answered until the revocation feed has been read once.
    pub(crate) const fn not_loaded() -> Self {
        Self::Unavailable { retry_after: STORE_RETRY_AFTER }
    }

    /// The same failure with another kind of rejection.
    pub fn map_rejection<S>(self, map: impl FnOnce(R) -> S) -> Failure<S> {
        match self {
            Self::Rejected(rejection) => Failure::Rejected(map(rejection)),
            Self::Unavailable { retry_after } => Failure::Unavailable { retry_after },
            Self::Fault => Failure::Fault,
        }
    }
}

impl<R> From<StoreError> for Failure<R> {
    fn from(error: StoreError) -> Self {
        if error.is_unavailable() {
            tracing::warn!(error = %error, "the store is out of reach");
            Self::Unavailable { retry_after: STORE_RETRY_AFTER }
        } else {
            Self::fault(&error)
        }
    }
}

impl<R> From<HasherError> for Failure<R> {
    fn from(error: HasherError) -> Self {
        match error {
            HasherError::Overloaded { retry_after } => Self::Unavailable { retry_after },
            error => Self::fault(&error),
        }
    }
}
