-- Who is signed in to the console. A row is a living session: ending it deletes the row, and the audit log keeps the tale.

CREATE TABLE console_session (
    token_sha256 bytea PRIMARY KEY CHECK (length(token_sha256) = 32),
    person_id    text NOT NULL REFERENCES person,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL
);
CREATE INDEX console_session_person ON console_session (person_id);
CREATE INDEX console_session_expiry ON console_session (expires_at);
