-- One row: what this installation is. Written at first start, checked at every other one.
CREATE TABLE installation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    environment TEXT NOT NULL,
    issuer TEXT NOT NULL,
    -- Bound into every refresh token: raising it ends all sessions, as after restoring a backup.
    generation BIGINT NOT NULL,
    -- The active signing key, so that a replica that signs with another one is noticed.
    signing_key TEXT NOT NULL,
    -- The longest life, in seconds, that any access token was ever issued with.
    longest_access_ttl BIGINT NOT NULL,
    created_at TEXT NOT NULL
);

CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username TEXT NOT NULL,
    username_lookup TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    email_lookup TEXT NOT NULL UNIQUE,
    shop_name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at TEXT NOT NULL,
    disabled_at TEXT,
    -- Raised by every change of the merchant's credentials; the raise is what serialises them.
    credentials_version BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    last_used_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT,
    counter BIGINT NOT NULL,
    issued_at TEXT NOT NULL,
    mac_key TEXT NOT NULL,
    used_at TEXT,
    earlier_uses TEXT NOT NULL,
    ended_at TEXT
);
CREATE INDEX sessions_of_user ON sessions (user_id, id);
CREATE INDEX sessions_by_end ON sessions (expires_at);
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    parent_id TEXT REFERENCES api_keys (id) ON DELETE SET NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    permissions TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    overlap_ends_at TEXT,
    revoked_at TEXT,
    successor_id TEXT,
    last_used_at TEXT,
    -- When it need not be listed any more; absent while it has no end.
    listed_until TEXT
);
CREATE INDEX api_keys_of_user ON api_keys (user_id, id);
CREATE INDEX api_keys_of_parent ON api_keys (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX api_keys_by_listing ON api_keys (listed_until) WHERE listed_until IS NOT NULL;

-- Append-only: every replica tails it into memory.
CREATE TABLE revocations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    forget_after TEXT NOT NULL
);
CREATE INDEX revocations_by_forgetting ON revocations (forget_after);

CREATE TABLE audit_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    occurred_at TEXT NOT NULL,
    event TEXT NOT NULL,
    outcome TEXT NOT NULL,
    user_id BIGINT,
    actor TEXT NOT NULL,
    subject TEXT,
    ip TEXT NOT NULL,
    user_agent TEXT,
    request_id TEXT NOT NULL,
    detail TEXT
);
CREATE INDEX audit_events_by_time ON audit_events (occurred_at);
CREATE INDEX audit_events_of_user ON audit_events (user_id, id) WHERE user_id IS NOT NULL;
