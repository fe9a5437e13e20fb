-- The use of an API key on one day in UTC. Every replica adds what it has counted.
CREATE TABLE api_key_days (
    api_key_id TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    -- RFC 3339 full-date.
    day TEXT NOT NULL,
    requests BIGINT NOT NULL,
    refusals BIGINT NOT NULL,
    -- When a route that demands the permission was last used.
    read_at TEXT,
    create_payments_at TEXT,
    manage_webhooks_at TEXT,
    full_access_at TEXT,
    -- When it was last verified without naming a permission.
    verified_at TEXT,
    PRIMARY KEY (api_key_id, day)
);
CREATE INDEX api_key_days_by_day ON api_key_days (day);
