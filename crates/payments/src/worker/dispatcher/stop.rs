//! Stopping: nothing is begun, what is under way may end, the rest goes back.

use tokio::task::JoinError;
use tokio::time::timeout;

use super::{Dispatcher, Lease, Look, lease_of};

impl Dispatcher {
    /// Gives back what waits, lets what is under way end, within bounds, and gives back what does not.
    pub(super) async fn stop(mut self) {
        let patience = self.payments.inner.config.stop_within;
        let waiting = self.admission.drain();
        let mut waiting: Vec<Lease> = waiting.iter().map(lease_of).collect();
        // Nobody gets another turn; whoever has one is waited for as long as a store call takes.
        self.handed.close();
        let handed = async {
            while let Some(handed) = self.handed.recv().await {
                waiting.extend(handed.iter().map(|delivery| (delivery.id, delivery.leased_until)));
            }
        };
        let _ = timeout(patience, handed).await;
        self.give_back(waiting).await;
        let Self { exchanges, looks, under_way, .. } = &mut self;
        let mut unused = Vec::new();
        let exchanging = async {
            while let Some(ended) = exchanges.join_next_with_id().await {
                let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
                under_way.remove(&id);
            }
        };
        let looking = async {
            while let Some(look) = looks.join_next().await {
                let Ok(Look { leased: Ok(leased), .. }) = look else { continue };
                unused.extend(leased.deliveries.iter().map(|delivery| (delivery.id, delivery.leased_until)));
            }
        };
        if timeout(patience, async { tokio::join!(exchanging, looking) }).await.is_err() {
            tracing::info!(cut_off = self.under_way.len(), "deliveries under way are cut off and given back");
        }
        self.exchanges.shutdown().await;
        self.looks.shutdown().await;
        unused.extend(self.under_way.drain().map(|(_, (_, lease))| lease));
        self.give_back(unused).await;
        drop(self.finished);
        let _ = timeout(patience, async { while self.chores.join_next().await.is_some() {} }).await;
        if timeout(patience, &mut self.recorder).await.is_err() {
            self.recorder.abort();
        }
    }

    async fn give_back(&self, leases: Vec<Lease>) {
        if leases.is_empty() {
            return;
        }
        let inner = &self.payments.inner;
        match timeout(inner.config.stop_within, inner.store().return_leases(leases)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "leases of deliveries run out, for they cannot be given back");
            }
            Err(_) => tracing::warn!("leases of deliveries run out, for they cannot be given back in time"),
        }
    }
}
