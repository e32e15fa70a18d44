-- Lots: free grants, resource packs and promotional credit, and what each host may draw of them.

CREATE TABLE lot (
    id              text PRIMARY KEY,
    lease_row       integer NOT NULL UNIQUE CHECK (lease_row >= 0),
    organization_id text NOT NULL REFERENCES organization,
    reference       text NOT NULL CHECK (length(reference) BETWEEN 1 AND 200),
    kind            text NOT NULL CHECK (kind IN ('grant', 'pack', 'credit')),
    items           text[] NOT NULL,          -- What it covers; a credit has none, and counts pico.
    models          text[] NOT NULL,          -- Empty: every model.
    modes           text[] NOT NULL CHECK (cardinality(modes) > 0),
    size            numeric(38, 0) NOT NULL CHECK (size BETWEEN 1 AND 4611686018427387904),
    used            numeric(38, 0) NOT NULL DEFAULT 0,
    priority        integer NOT NULL CHECK (priority BETWEEN 0 AND 1000000),
    valid_from      timestamptz NOT NULL,
    expires_at      timestamptz CHECK (expires_at > valid_from),
    revoked_at      timestamptz,
    declared        boolean NOT NULL,         -- By a file of `apply`, so that an export writes it.
    memo            text NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, reference),
    CHECK ((kind = 'credit') = (cardinality(items) = 0)),
    CHECK (0 <= used AND used <= size)
);

-- Its terms are a promise: what may change is how much of it was used, and that it ends.
CREATE FUNCTION refuse_other_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'used' - 'revoked_at' <> to_jsonb(OLD) - 'used' - 'revoked_at' OR OLD.revoked_at < NEW.revoked_at THEN
        RAISE EXCEPTION 'the terms of a lot are never changed: revoke it and make another';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER lot_terms BEFORE UPDATE ON lot FOR EACH ROW EXECUTE FUNCTION refuse_other_terms();
CREATE TRIGGER lot_kept BEFORE DELETE ON lot FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER lot_notify AFTER INSERT OR UPDATE OF revoked_at ON lot FOR EACH STATEMENT EXECUTE FUNCTION notify_config();

-- The arithmetic of `lease` and `lease_posted`, for lots.
CREATE TABLE lot_lease (
    host    text NOT NULL,
    lot_id  text NOT NULL REFERENCES lot,
    granted numeric(38, 0) NOT NULL,
    posted  numeric(38, 0) NOT NULL,
    closed  numeric(38, 0) NOT NULL,
    PRIMARY KEY (host, lot_id),
    CHECK (0 <= closed AND closed <= posted AND posted <= granted)
);
CREATE INDEX lot_lease_lot ON lot_lease (lot_id);

CREATE TABLE lot_posted (
    incarnation text NOT NULL REFERENCES journal_writer,
    lot_id      text NOT NULL REFERENCES lot,
    posted      numeric(38, 0) NOT NULL,
    PRIMARY KEY (incarnation, lot_id)
);

-- What every organization is given of a model when it is created.
ALTER TABLE model
    ADD COLUMN free_grant_tokens bigint CHECK (free_grant_tokens > 0),
    ADD COLUMN free_grant_days integer CHECK (free_grant_days > 0);

-- Never charged: what its lots do not cover is refused.
ALTER TABLE organization ADD COLUMN free_only boolean NOT NULL DEFAULT false;
