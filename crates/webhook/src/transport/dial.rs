//! Whether a request had to dial, or went over a connection that was there.

use std::cell::Cell;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

/// The connection that a request went over, as far as can be told: one that was dialled for it may have lost
/// the race against one that became free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// It was there before.
    Kept,
    /// It may have been dialled for this request.
    Dialled,
}

tokio::task_local! {
    static CONNECTION: Cell<Connection>;
}

/// Runs a request, and tells of its connection.
pub(super) async fn watched<T>(request: impl Future<Output = T>) -> (T, Connection) {
    let watched = async {
        let outcome = request.await;
        (outcome, CONNECTION.get().get())
    };
    CONNECTION.scope(Cell::new(Connection::Kept), watched).await
}

/// Notes each dial, in the task of the request that it is for.
#[derive(Clone, Copy)]
pub(super) struct NoteDials;

#[derive(Clone)]
pub(super) struct Noting<Dial>(Dial);

impl<Dial> Layer<Dial> for NoteDials {
    type Service = Noting<Dial>;

    fn layer(&self, dial: Dial) -> Noting<Dial> {
        Noting(dial)
    }
}

impl<Whither, Dial: Service<Whither>> Service<Whither> for Noting<Dial> {
    type Response = Dial::Response;
    type Error = Dial::Error;
    type Future = Dial::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Dial::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, whither: Whither) -> Dial::Future {
        // Outside of any request there is nobody to tell.
        let _ = CONNECTION.try_with(|connection| connection.set(Connection::Dialled));
        self.0.call(whither)
    }
}
