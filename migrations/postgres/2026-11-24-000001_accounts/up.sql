-- One row: what this installation is. Written at first start, checked at every other one.
CREATE TABLE installation (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    environment TEXT NOT NULL,
    issuer TEXT NOT NULL,
    -- Bound into every refresh token: raising it ends all sessions, as after restoring a backup.
    generation BIGINT NOT NULL,
    -- The active signing key, so that a replica that signs with another one is noticed.
    signing_key TEXT NOT NULL,
    -- The longest life, in seconds, that any access token was ever issued with.
    longest_access_ttl BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE users (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username TEXT NOT NULL,
    username_lookup TEXT COLLATE "C" NOT NULL UNIQUE,
    email TEXT NOT NULL,
    email_lookup TEXT COLLATE "C" NOT NULL UNIQUE,
    shop_name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    disabled_at TIMESTAMPTZ,
    -- Raised by every change of the merchant's credentials; the raise is what serialises them.
    credentials_version BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE sessions (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL,
    last_used_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT,
    counter BIGINT NOT NULL,
    issued_at TIMESTAMPTZ NOT NULL,
    mac_key TEXT NOT NULL,
    used_at TIMESTAMPTZ,
    earlier_uses TEXT NOT NULL,
    ended_at TIMESTAMPTZ
);
CREATE INDEX sessions_of_user ON sessions (user_id, id);
CREATE INDEX sessions_by_end ON sessions (expires_at);
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE api_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    parent_id TEXT COLLATE "C" REFERENCES api_keys (id) ON DELETE SET NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    permissions TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    overlap_ends_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    successor_id TEXT COLLATE "C",
    last_used_at TIMESTAMPTZ,
    -- When it need not be listed any more; absent while it has no end.
    listed_until TIMESTAMPTZ
);
CREATE INDEX api_keys_of_user ON api_keys (user_id, id);
CREATE INDEX api_keys_of_parent ON api_keys (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX api_keys_by_listing ON api_keys (listed_until) WHERE listed_until IS NOT NULL;

-- Append-only: every replica tails it into memory.
CREATE TABLE revocations (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    forget_after TIMESTAMPTZ NOT NULL,
    -- Sequence order is not commit order: the feed is read by transaction snapshot.
    transaction_id XID8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX revocations_by_forgetting ON revocations (forget_after);
CREATE INDEX revocations_by_transaction ON revocations (transaction_id);

CREATE TABLE audit_events (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    occurred_at TIMESTAMPTZ NOT NULL,
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
