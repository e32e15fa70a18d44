-- Signed roots over the feed of charges: what is in one can't be changed, added to or left out afterwards unseen.

CREATE TABLE proof_root (
    number        bigint PRIMARY KEY,        -- 1, 2, 3 … without a gap.
    day           date NOT NULL,             -- In UTC.
    over          boolean NOT NULL,          -- The last of its day.
    upto_position bigint NOT NULL,           -- Of the feed: it covers what follows the root before, up to here.
    content       bytea NOT NULL,            -- What is signed, byte for byte (`domain/proofs.py`).
    hash          bytea NOT NULL UNIQUE,     -- Of the content; the next root names it.
    signature     bytea NOT NULL,
    public_key    text NOT NULL,
    journals      jsonb NOT NULL,            -- How far each journal was settled, and its chain's hash there.
    sealed_at     timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX proof_root_over ON proof_root (day) WHERE over;
CREATE TRIGGER proof_root_append_only BEFORE UPDATE OR DELETE ON proof_root FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The leaf that each organization has in each root.
CREATE TABLE proof_part (
    root            bigint NOT NULL REFERENCES proof_root,
    organization_id text NOT NULL,
    content         bytea NOT NULL,
    PRIMARY KEY (root, organization_id)
);
CREATE TRIGGER proof_part_append_only BEFORE UPDATE OR DELETE ON proof_part FOR EACH ROW EXECUTE FUNCTION refuse_change();
