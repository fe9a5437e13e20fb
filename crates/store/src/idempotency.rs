//! Requests that may be sent again: the first answer is kept, and given to each that is the same.

use cryptopay_domain::idempotency_key::ANSWER_KEPT;
use cryptopay_domain::{IdempotencyKey, Timestamp, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::StoreError;
use crate::schema::idempotency_answers;
use crate::statement::Statement;

/// A request that names itself.
#[derive(Clone, Debug)]
pub struct IdempotentRequest {
    /// Where it was sent to; a key means something else on another route.
    pub route: &'static str,
    /// What it calls itself.
    pub key: IdempotencyKey,
    /// A hash of what it asks for.
    pub fingerprint: [u8; 32],
    /// What it is answered if it is the first of its key.
    pub answer: Vec<u8>,
}

/// What a key was used for before.
pub(crate) enum Claim {
    /// Nothing, in the last 24 hours: the request is the first.
    First,
    /// The same request, which was answered this.
    Replay(Vec<u8>),
    /// Another request.
    Conflict,
}

/// What is older than answers are kept for is as good as cleared away.
const TAKE: &str = "INSERT INTO idempotency_answers (user_id, route, key, fingerprint, answer, created_at) \
                    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (user_id, route, key) DO UPDATE \
                    SET fingerprint = excluded.fingerprint, answer = excluded.answer, \
                    created_at = excluded.created_at WHERE idempotency_answers.created_at <= ?";

shared_queries! {
    /// Taking a key inside the transaction of the request.
    trait IdempotencyQueries {
        /// Takes a key for a request, or tells what it was used for. Requests of one key that come at once
        /// wait here for the first of them: on PostgreSQL by the primary key, on SQLite there is one writer.
        async fn claim(conn, user: UserId, request: IdempotentRequest, now: Timestamp) -> Result<Claim, StoreError> {
            let (route, key) = (request.route, request.key.as_str().to_owned());
            let fingerprint = request.fingerprint.to_vec();
            let taken = Statement::new(TAKE)
                .number(user.0)
                .text(route)
                .text(key.clone())
                .binary(fingerprint.clone())
                .binary(request.answer)
                .moment(now)
                .moment(now.before(ANSWER_KEPT))
                .execute(conn)
                .await?;
            if taken == 1 {
                return Ok(Claim::First);
            }
            let kept: Option<(Vec<u8>, Vec<u8>)> = idempotency_answers::table
                .find((user.0, route, key))
                .select((idempotency_answers::fingerprint, idempotency_answers::answer))
                .first(conn)
                .await
                .optional()?;
            match kept {
                Some((same, answer)) if same == fingerprint => Ok(Claim::Replay(answer)),
                Some(_) => Ok(Claim::Conflict),
                // It was cleared away in between, by a replica whose clock is ahead.
                None => Err(StoreError::Connection("an idempotency key was cleared away meanwhile".to_owned())),
            }
        }
    }
}
