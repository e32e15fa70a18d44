-- Keys: the APIs that one may call, whose it is, the secret it had before, and when it was last used; and how much of
-- an hour's roll-up says all that there is to say about its charges.

ALTER TABLE api_key
    ADD COLUMN scopes    text[] NOT NULL DEFAULT '{}',      -- APIs that it may call; none: all.
    ADD COLUMN person_id text REFERENCES person,            -- Whose it is; NULL: nobody's in particular.
    ADD COLUMN made_by   text NOT NULL DEFAULT '';          -- As the audit log calls who made it.

-- Searches by a beginning, by bytes, so that an index has them whatever the database's language is.
CREATE INDEX api_key_name ON api_key (organization_id, lower(name) COLLATE "C", id);
CREATE INDEX api_key_hint ON api_key (organization_id, hint COLLATE "C", id);
CREATE INDEX api_key_person ON api_key (organization_id, person_id, id) WHERE person_id IS NOT NULL;
CREATE INDEX api_key_person_name ON api_key (organization_id, person_id, lower(name) COLLATE "C", id)
    WHERE person_id IS NOT NULL;

-- What a key was called with before it was rotated: it works until then, and is nobody else's for ever.
CREATE TABLE former_secret (
    secret_sha256 bytea PRIMARY KEY CHECK (length(secret_sha256) = 32),
    key_id        text NOT NULL REFERENCES api_key,
    hint          text NOT NULL,
    expires_at    timestamptz NOT NULL,
    replaced_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX former_secret_key ON former_secret (key_id, expires_at);
CREATE INDEX former_secret_expires ON former_secret (expires_at);
CREATE TRIGGER former_secret_notify AFTER INSERT OR UPDATE OR DELETE ON former_secret FOR EACH STATEMENT EXECUTE FUNCTION notify_config();

-- Kept by a follower of the ledger, a row for each key: nothing is written for a request.
CREATE TABLE key_use (
    key_id       text PRIMARY KEY,
    last_used_at timestamptz NOT NULL,
    model        text NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX usage_limit_organization ON usage_limit (organization_id, id);

-- What a page of keys has spent this month. Its columns never change, so that adding to an hour touches no index.
CREATE INDEX usage_hourly_key ON usage_hourly (key_id, hour);
CREATE INDEX usage_hourly_model ON usage_hourly (model, hour);
-- Of its requests: those whose charges are text by list price alone, without discount and without cover.
ALTER TABLE usage_hourly ADD COLUMN plain_requests bigint NOT NULL DEFAULT 0;
