-- What the login throttle counts. A row tells nobody what it counts: its key is a keyed hash of that.
CREATE TABLE login_attempts (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- When every counted attempt will have been forgiven.
    restored_at TIMESTAMPTZ NOT NULL,
    -- When the last one was counted.
    last_at TIMESTAMPTZ NOT NULL,
    -- Of an account and a network: until when it counts as known, since it has logged the account in.
    known_until TIMESTAMPTZ,
    -- When the row says nothing any more.
    forget_after TIMESTAMPTZ NOT NULL
);
CREATE INDEX login_attempts_by_forgetting ON login_attempts (forget_after);
