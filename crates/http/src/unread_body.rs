//! What becomes of a body that nobody read: drained while it is small, so that the connection lives on;
//! otherwise the connection closes after the answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::web::Bytes;
use actix_web::{HttpMessage, ResponseError};
use futures_util::StreamExt;

use crate::body::{MAX_BODY, content_length};
use crate::error::ApiError;

/// How long an answer waits for the rest of a body it does not need.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Answers with `error`, the body unread or half read.
pub(crate) async fn refuse(mut request: ServiceRequest, error: ApiError) -> ServiceResponse {
    let left = match error {
        // More than is ever drained has been read already, or announced.
        ApiError::PayloadTooLarge => Some(request.take_payload()),
        _ => drain(&mut request).await,
    };
    hold(request.into_response(error.error_response()), left)
}

/// Reads away up to 64 KiB. What is left after that, or on its way for too long, is returned.
pub(crate) async fn drain(request: &mut ServiceRequest) -> Option<Payload> {
    let mut payload = request.take_payload();
    if matches!(payload, Payload::None) {
        return None;
    }
    if content_length(request.headers()).is_some_and(|length| length > MAX_BODY) {
        return Some(payload);
    }
    let draining = async {
        let mut drained = 0;
        while let Some(Ok(chunk)) = payload.next().await {
            drained += chunk.len();
            if drained > MAX_BODY {
                return false;
            }
        }
        true
    };
    let finished = tokio::time::timeout(MAX_WAIT, draining).await.unwrap_or(false);
    (!finished).then_some(payload)
}

/// Keeps what is left of the body alive until the answer is sent and the connection closes: a chunked body
/// that is *dropped* unread actix would read on to its end, however far away.
pub(crate) fn hold(mut response: ServiceResponse, left: Option<Payload>) -> ServiceResponse {
    let Some(payload) = left else { return response };
    response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    response.map_body(|_, answer| BoxBody::new(Closing { answer, _left: payload }))
}

/// An answer after which the connection closes.
struct Closing {
    answer: BoxBody,
    _left: Payload,
}

impl MessageBody for Closing {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    async fn left_of(size: usize) -> bool {
        let mut request = TestRequest::post().set_payload(vec![0; size]).to_srv_request();
        drain(&mut request).await.is_some()
    }

    #[actix_web::test]
    async fn up_to_64_kib_is_drained_and_more_is_left() {
        assert!(!left_of(0).await);
        assert!(!left_of(MAX_BODY).await);
        assert!(left_of(MAX_BODY + 1).await);
    }

    #[actix_web::test]
    async fn the_answer_is_the_same_whether_the_connection_closes_or_not() {
        let mut answers = Vec::new();
        for size in [10, 10 * MAX_BODY] {
            let request = TestRequest::post().set_payload(vec![0; size]).to_srv_request();
            let response = refuse(request, ApiError::RouteNotFound).await;
            assert_eq!(response.status(), 404);
            answers.push(actix_web::body::to_bytes(response.into_body()).await.unwrap());
        }
        assert_eq!(answers[0], answers[1]);
    }
}
