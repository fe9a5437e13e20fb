//! What attempts say about their endpoints.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cryptopay_domain::webhook_endpoint::{EndpointStatus, Health};
use cryptopay_domain::{Attempt, WebhookEndpoint, WebhookEndpointId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::StoreError;
use crate::audit::{AuditEvent, AuditQueries};
use crate::delivery_record::AttemptRecord;
use crate::schema::webhook_endpoints;
use crate::webhook_endpoint::{EndpointLocks, EndpointQueries};
use crate::webhook_endpoint_row::{EndpointRow, endpoints_of};

/// What an attempt says about its endpoint.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// How it is.
    pub health: Health,
    /// What to record if that disables it.
    pub audit: Option<AuditEvent>,
}

/// The rule: what an attempt says about an endpoint as it is.
pub(crate) type Judge = Box<dyn Fn(&WebhookEndpoint, &Attempt) -> Verdict + Send>;

/// The endpoints after what was said about them.
pub(crate) struct Judgement {
    endpoints: HashMap<WebhookEndpointId, WebhookEndpoint>,
    /// Those that were disabled by it.
    pub(crate) disabled: Vec<WebhookEndpointId>,
}

impl Judgement {
    /// Whether anything is posted to an endpoint; nothing is to one that is gone.
    pub(crate) fn is_open(&self, endpoint: WebhookEndpointId) -> bool {
        self.endpoints.get(&endpoint).is_some_and(is_open)
    }

    /// Those that fail and are still tried.
    pub(crate) fn failing(&self) -> Vec<String> {
        let failing = |endpoint: &&WebhookEndpoint| is_open(endpoint) && endpoint.failing_since.is_some();
        self.endpoints.values().filter(failing).map(|endpoint| endpoint.id.to_string()).collect()
    }
}

shared_queries! {
    /// Judging endpoints.
    trait JudgementQueries {
        /// Mostly nothing is written: an endpoint that works goes on working. Those that change are judged
        /// again under lock, as they are then.
        async fn judge_endpoints(conn, records: Arc<[AttemptRecord]>, judge: Judge) -> Result<Judgement, StoreError> {
            let ids: BTreeSet<String> = records.iter().map(|record| record.endpoint.to_string()).collect();
            let rows: Vec<EndpointRow> = webhook_endpoints::table
                .filter(webhook_endpoints::id.eq_any(ids))
                .filter(webhook_endpoints::deleted_at.is_null())
                .select(EndpointRow::as_select())
                .load(conn)
                .await?;
            let mut endpoints: HashMap<WebhookEndpointId, WebhookEndpoint> = HashMap::new();
            let mut changing: Vec<String> = Vec::new();
            for endpoint in endpoints_of(rows)? {
                if judged(&endpoint, &records, &judge).0 == endpoint {
                    endpoints.insert(endpoint.id, endpoint);
                } else {
                    changing.push(endpoint.id.to_string());
                }
            }
            let mut disabled: Vec<WebhookEndpointId> = Vec::new();
            if changing.is_empty() {
                return Ok(Judgement { endpoints, disabled });
            }
            for endpoint in endpoints_of(conn.lock_endpoints(changing).await?)? {
                let (after, audit) = judged(&endpoint, &records, &judge);
                if after != endpoint {
                    conn.update_endpoint(after.clone()).await?;
                }
                if after.status != endpoint.status {
                    disabled.push(after.id);
                }
                if let Some(event) = audit {
                    conn.record(event).await?;
                }
                endpoints.insert(after.id, after);
            }
            Ok(Judgement { endpoints, disabled })
        }
    }
}

fn is_open(endpoint: &WebhookEndpoint) -> bool {
    endpoint.status == EndpointStatus::Enabled
}

/// The endpoint after what its attempts say about it, and what to record if it was disabled.
fn judged(
    endpoint: &WebhookEndpoint,
    records: &[AttemptRecord],
    judge: &Judge,
) -> (WebhookEndpoint, Option<AuditEvent>) {
    let mut after = endpoint.clone();
    for record in records.iter().filter(|record| record.endpoint == endpoint.id && record.url == endpoint.url)
    {
        if !is_open(&after) {
            break;
        }
        let verdict = judge(&after, &record.attempt);
        match verdict.health {
            Health::Healthy => after.failing_since = None,
            Health::Failing { since } => after.failing_since = Some(since),
            Health::Disable(reason) => {
                after.status = EndpointStatus::Disabled(reason);
                return (after, verdict.audit);
            }
        }
    }
    (after, None)
}
