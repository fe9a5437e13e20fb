//! What is due, looked for from endpoint to endpoint, so that nobody's backlog is in anybody's way.

use std::collections::HashSet;

use cryptopay_domain::WebhookEndpointId;
use diesel::QueryableByName;
use diesel::sql_types::{Nullable, Text};
use diesel_async::RunQueryDsl;

use crate::StoreError;
use crate::delivery_lease::LeaseRequest;
use crate::statement::{Dialect, Dialects};

/// At most so many endpoints with something pending are passed in one look.
const STEPS: usize = 1024;

/// From one endpoint with something pending to the next, as a loose index scan: each step is a search in the index
/// `webhook_deliveries_pending`, however much is pending for it. Of each, its share of what is due, longest waiting
/// first. An endpoint with nothing due is a row without a delivery, and so is one that is excepted, however much is
/// due for it.
const LOOK: Dialects = Dialects {
    sqlite: "WITH RECURSIVE walk (endpoint_id, step) AS (\
               SELECT min(endpoint_id), 1 FROM webhook_deliveries \
               WHERE due_at IS NOT NULL AND lane = ? AND endpoint_id > ? \
             UNION ALL \
               SELECT (SELECT min(n.endpoint_id) FROM webhook_deliveries n \
                       WHERE n.due_at IS NOT NULL AND n.lane = ? AND n.endpoint_id > walk.endpoint_id), step + 1 \
               FROM walk WHERE walk.endpoint_id IS NOT NULL AND step < ?) \
             SELECT w.endpoint_id, d.id FROM walk w LEFT JOIN webhook_deliveries d ON d.id IN (\
               SELECT i.id FROM webhook_deliveries i \
               WHERE i.lane = ? AND i.endpoint_id = w.endpoint_id \
               AND i.due_at <= iif(w.endpoint_id IN (SELECT value FROM json_each(?)), '', ?) ORDER BY i.due_at LIMIT ?) \
             WHERE w.endpoint_id IS NOT NULL LIMIT ?",
    postgres: "WITH RECURSIVE walk AS (\
                 (SELECT endpoint_id FROM webhook_deliveries \
                  WHERE due_at IS NOT NULL AND lane = ? AND endpoint_id > ? ORDER BY endpoint_id LIMIT 1) \
               UNION ALL \
                 SELECT n.endpoint_id FROM walk, LATERAL (SELECT d.endpoint_id FROM webhook_deliveries d \
                   WHERE d.due_at IS NOT NULL AND d.lane = ? AND d.endpoint_id > walk.endpoint_id \
                   ORDER BY d.endpoint_id LIMIT 1) AS n) \
               SELECT w.endpoint_id, d.id FROM (SELECT endpoint_id FROM walk LIMIT ?) AS w LEFT JOIN LATERAL (\
                 SELECT i.id FROM webhook_deliveries i \
                 WHERE i.lane = ? AND i.endpoint_id = w.endpoint_id \
                 AND (w.endpoint_id = ANY(ARRAY(SELECT json_array_elements_text(?::json)))) IS NOT TRUE \
                 AND i.due_at <= ? ORDER BY i.due_at LIMIT ?) AS d ON true LIMIT ?",
};

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    endpoint_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    id: Option<String>,
}

/// What a look found.
pub(crate) struct Due {
    pub(crate) ids: Vec<String>,
    /// The endpoint that it came to; `None` after the last one.
    pub(crate) reached: Option<WebhookEndpointId>,
}

shared_queries! {
    /// Looking for what is due.
    trait DueQueries {
        async fn find_due(conn, request: LeaseRequest) -> Result<Due, StoreError> {
            let lane = i64::from(request.lane.to_row());
            // Before every identifier.
            let after = request.after.map(|endpoint| endpoint.to_string()).unwrap_or_default();
            let except: Vec<String> = request.except.iter().map(ToString::to_string).collect();
            let share = request.per_endpoint.min(request.limit);
            // There may have been nothing pending when the first look was planned.
            let look = conn.statement(LOOK).prepared_anew().number(lane).text(after).number(lane).number(to_row(STEPS));
            let look = look.number(lane).json(&except)?.moment(request.now).number(to_row(share));
            let found: Vec<Found> = look.number(to_row(STEPS + request.limit)).load(conn).await?;
            due_of(found, request.limit)
        }
    }
}

fn due_of(found: Vec<Found>, limit: usize) -> Result<Due, StoreError> {
    let endpoints: HashSet<&str> = found.iter().map(|found| found.endpoint_id.as_str()).collect();
    let is_all = endpoints.len() < STEPS && found.len() < STEPS + limit;
    let mut ids = Vec::new();
    let mut reached = None;
    for found in found {
        ids.extend(found.id);
        reached = Some(found.endpoint_id);
        if ids.len() == limit {
            return Ok(Due { ids, reached: parsed(reached)? });
        }
    }
    Ok(Due { ids, reached: parsed(reached.filter(|_| !is_all))? })
}

fn parsed(endpoint: Option<String>) -> Result<Option<WebhookEndpointId>, StoreError> {
    let corrupt = |_| StoreError::Corrupt { table: "webhook_deliveries", what: "endpoint id" };
    endpoint.map(|endpoint| endpoint.parse()).transpose().map_err(corrupt)
}

fn to_row(many: usize) -> i64 {
    i64::try_from(many).unwrap_or(i64::MAX)
}
