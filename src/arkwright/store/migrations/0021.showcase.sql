-- What customers see of a model before they call it: how fast and how reliable it was lately, as it was really served.
-- Kept by a follower of the charges (`store/showcase.py`), so that settling pays nothing for it.

-- Sums of ten minutes (kept for a day) and of hours (kept for a month), by the moment requests started.
CREATE TABLE pace (
    span_s       integer NOT NULL CHECK (span_s IN (600, 3600)),
    model        text NOT NULL,
    at           timestamptz NOT NULL,
    served       bigint NOT NULL,
    broken       bigint NOT NULL,             -- Charged, but the upstream broke off.
    timed_tokens bigint NOT NULL,             -- Output after the first token, and how long it took.
    timed_us     bigint NOT NULL,
    ttft         jsonb NOT NULL,              -- How many first tokens came how soon: bucket of `domain/pace.py` → count.
    PRIMARY KEY (span_s, model, at)
);
CREATE INDEX pace_at ON pace (span_s, at);

-- Two of these counts, bucket by bucket.
CREATE FUNCTION add_buckets(one jsonb, other jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(bucket, requests), '{}')
    FROM (SELECT key AS bucket, sum(value::bigint) AS requests
          FROM (SELECT * FROM jsonb_each_text(one) UNION ALL SELECT * FROM jsonb_each_text(other)) AS each
          GROUP BY key) AS summed
$$;

-- Requests that came to nothing by our fault. Rare, so the settler counts them itself, by ten minutes.
CREATE TABLE pace_failed (
    at       timestamptz NOT NULL,
    model    text NOT NULL,
    requests bigint NOT NULL,
    PRIMARY KEY (at, model)
);
INSERT INTO pace_failed (at, model, requests)
SELECT hour, model, sum(requests) FROM void_hourly WHERE status >= 500 AND model <> '' GROUP BY 1, 2;

-- The key that a person's playground calls with, one for each organization. Its secret is derived anew for each
-- generation and is stored nowhere but, as its SHA-256, with the key.
CREATE TABLE playground_key (
    organization_id text NOT NULL REFERENCES organization,
    person_id       text NOT NULL REFERENCES person,
    key_id          text NOT NULL UNIQUE REFERENCES api_key,
    generation      integer NOT NULL CHECK (generation > 0),
    PRIMARY KEY (organization_id, person_id)
);
CREATE INDEX playground_key_person ON playground_key (person_id);

-- Who is signed out is out of the playground, too, whoever ended the session.
CREATE FUNCTION end_playground() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    living text[] := ARRAY(
        SELECT api_key.id FROM playground_key JOIN api_key ON api_key.id = playground_key.key_id
        WHERE playground_key.person_id = OLD.person_id AND (expires_at IS NULL OR expires_at > now()));
BEGIN
    IF cardinality(living) > 0 THEN  -- An update of nothing would make every gateway look for a new snapshot.
        UPDATE api_key SET expires_at = now() WHERE id = ANY (living);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER console_session_playground AFTER DELETE ON console_session FOR EACH ROW EXECUTE FUNCTION end_playground();
