-- The encryption key that seals what has to be read again, so that a replica that has another one is noticed.
ALTER TABLE installation ADD COLUMN encryption_key TEXT;

CREATE TABLE payment_orders (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Exact decimals as they were given.
    amount TEXT NOT NULL,
    currency TEXT NOT NULL,
    description TEXT,
    -- A JSON object of texts.
    metadata TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    -- What was told of it when it was made, and when it ended; nothing was if nobody listened.
    created_event_id TEXT COLLATE "C" NOT NULL,
    ended_event_id TEXT COLLATE "C"
);
CREATE INDEX payment_orders_of_user ON payment_orders (user_id, id);

-- What a request was answered, so that the same request is answered the same.
CREATE TABLE idempotency_answers (
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    route TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    answer BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (user_id, route, key)
);
CREATE INDEX idempotency_answers_by_time ON idempotency_answers (created_at);

CREATE TABLE webhook_endpoints (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    description TEXT,
    -- Absent while it is enabled.
    disabled_reason TEXT,
    failing_since TIMESTAMPTZ,
    -- Sealed with the encryption key.
    secret BYTEA NOT NULL,
    previous_secret BYTEA,
    previous_secret_ends_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    -- A deleted endpoint stays until its deliveries have been cleared away, without its secrets.
    deleted_at TIMESTAMPTZ
);
CREATE INDEX webhook_endpoints_of_user ON webhook_endpoints (user_id, id);
CREATE INDEX webhook_endpoints_deleted ON webhook_endpoints (deleted_at) WHERE deleted_at IS NOT NULL;

-- The exact bytes that are delivered, however often.
CREATE TABLE webhook_events (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    event_type TEXT NOT NULL,
    body BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

-- The deliveries of an event follow it in the order of their identifiers, which is how they are found. Every order with
-- an endpoint writes here, so the rows it refers to are not looked up again: an event is cleared away with the last of its
-- deliveries, an endpoint after them.
CREATE TABLE webhook_deliveries (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    event_id TEXT COLLATE "C" NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    status TEXT NOT NULL,
    -- 0: first attempts to endpoints that work; 1: retries, and everything for endpoints that fail.
    lane SMALLINT NOT NULL,
    -- Attempts since the retry plan was begun.
    tries BIGINT NOT NULL,
    plan_started_at TIMESTAMPTZ NOT NULL,
    -- When it was last planned to be attempted next; present while it is pending.
    next_attempt_at TIMESTAMPTZ,
    -- When a worker may take it: `next_attempt_at`, and while one has it, the end of that worker's lease.
    due_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    -- When it last ceased to be pending.
    ended_at TIMESTAMPTZ
);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (lane, endpoint_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE webhook_attempts (
    delivery_id TEXT COLLATE "C" NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    at TIMESTAMPTZ NOT NULL,
    status_code BIGINT,
    error TEXT,
    duration_ms BIGINT NOT NULL,
    response TEXT,
    PRIMARY KEY (delivery_id, at)
);
