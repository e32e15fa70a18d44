-- Requests as people look for them: those that failed, one by one; and series of usage, failures and first-token times that
-- a question is answered from without reading the charges.

-- Until the try that served had a connection; 0 over one that was open.
ALTER TABLE charge ADD COLUMN connect_us bigint NOT NULL DEFAULT 0 CHECK (connect_us >= 0);

-- Admitted, and nothing to bill. Kept for a while (`store/requests.py`), then deleted: a failure is nobody's money.
CREATE TABLE request_failure (
    event_id        uuid PRIMARY KEY,
    organization_id text NOT NULL,
    project_id      text NOT NULL,            -- Empty: of an older journal.
    key_id          text NOT NULL,
    endpoint        text NOT NULL,
    endpoint_id     text NOT NULL,
    model           text NOT NULL,
    target          text NOT NULL,            -- Where it was when it failed; empty: nowhere.
    streamed        boolean NOT NULL,
    status          integer NOT NULL,
    code            text NOT NULL,
    message         text NOT NULL,
    started_at      timestamptz NOT NULL,
    ended_at        timestamptz NOT NULL,
    queue_us        bigint NOT NULL,
    attempts        jsonb NOT NULL,
    counted         boolean NOT NULL DEFAULT false  -- In `failure_series`.
);
CREATE INDEX request_failure_organization ON request_failure (organization_id, started_at, event_id);
CREATE INDEX request_failure_uncounted ON request_failure (event_id) WHERE NOT counted;
CREATE INDEX request_failure_started ON request_failure (started_at);

-- Every admitted request: charged, or failed.
CREATE VIEW request AS
SELECT event_id, organization_id, project_id, key_id, endpoint, endpoint_id, model, target, streamed, status, finish,
    ''::text AS code, started_at, ended_at, ttft_us, queue_us, connect_us,
    input_tokens + cached_input_tokens + cache_write_tokens AS input_tokens,
    output_tokens + reasoning_tokens AS output_tokens, currency, amount_pico
FROM charge
UNION ALL
SELECT event_id, organization_id, project_id, key_id, endpoint, endpoint_id, model, target, streamed, status, ''::text,
    code, started_at, ended_at, NULL::bigint, queue_us, 0::bigint, 0::bigint, 0::bigint, ''::text, 0::numeric(38, 0)
FROM request_failure;

-- Sums by hour, day and month: of one organization, or of all (scope ''), undivided or split one way. Kept by a follower
-- of the feed. `amount_pico` is added up from charges and adjustments; `ledger_pico`, where nothing is split, from the
-- entries of the transactions that posted them, so that the two can be compared.
CREATE TABLE usage_series (
    scope         text NOT NULL,
    split         text NOT NULL CHECK (split IN ('total', 'model', 'key', 'project', 'customer', 'provider')),
    grain         text NOT NULL CHECK (grain IN ('hour', 'day', 'month')),
    at            timestamptz NOT NULL,       -- In which requests started; UTC.
    value         text NOT NULL,
    currency      text NOT NULL,
    requests      bigint NOT NULL,
    broken        bigint NOT NULL,            -- Of them, those whose answer broke off.
    tokens        bigint NOT NULL,
    output_tokens bigint NOT NULL,            -- Of them, written.
    amount_pico   numeric(38, 0) NOT NULL,
    ledger_pico   numeric(38, 0) NOT NULL,
    PRIMARY KEY (scope, split, grain, at, value, currency)
);
CREATE TABLE failure_series (
    scope   text NOT NULL,
    split   text NOT NULL CHECK (split IN ('total', 'model', 'key', 'project', 'customer', 'provider')),
    grain   text NOT NULL CHECK (grain IN ('hour', 'day', 'month')),
    at      timestamptz NOT NULL,
    value   text NOT NULL,
    failed  bigint NOT NULL,
    hung_up bigint NOT NULL,                  -- Clients that left before there was an answer: nobody's error.
    PRIMARY KEY (scope, split, grain, at, value)
);

-- Times to the first token of streams, counted in buckets: number n holds what is longer than 1 ms × 1.1^(n-1) and not
-- longer than 1 ms × 1.1^n, so a quantile is off by 4.8 % at most (by 1 ms below that). Histograms are merged by adding.
CREATE TABLE first_token_series (
    scope   text NOT NULL,
    split   text NOT NULL CHECK (split IN ('total', 'model', 'key', 'project', 'customer', 'provider')),
    grain   text NOT NULL CHECK (grain IN ('hour', 'day', 'month')),
    at      timestamptz NOT NULL,
    value   text NOT NULL,
    p50_us  bigint NOT NULL,                  -- Of the counts, for who reads one row.
    p95_us  bigint NOT NULL,
    counts  bigint[] NOT NULL,
    PRIMARY KEY (scope, split, grain, at, value)
);

CREATE FUNCTION ttft_bucket(us bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN us <= 1000 THEN 0 ELSE least(145, ceil(ln(us / 1000.0::double precision) / ln(1.1::double precision)))::integer END
$$;
CREATE FUNCTION ttft_of_bucket(bucket integer) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN bucket = 0 THEN 1000 ELSE round(1000 * 2 * 1.1::double precision ^ bucket / 2.1)::bigint END
$$;
CREATE FUNCTION add_to_bucket(kept bigint[], bucket integer, n bigint) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    kept[bucket] := coalesce(kept[bucket], 0) + n;
    RETURN kept;
END $$;
CREATE FUNCTION add_counts(kept bigint[], more bigint[]) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    FOR bucket IN coalesce(array_lower(more, 1), 0) .. coalesce(array_upper(more, 1), -1) LOOP
        IF more[bucket] IS NOT NULL THEN
            kept[bucket] := coalesce(kept[bucket], 0) + more[bucket];
        END IF;
    END LOOP;
    RETURN kept;
END $$;
CREATE AGGREGATE count_in_buckets(integer, bigint) (SFUNC = add_to_bucket, STYPE = bigint[], INITCOND = '{}');
CREATE AGGREGATE sum_counts(bigint[]) (SFUNC = add_counts, STYPE = bigint[], INITCOND = '{}');
-- The least bucket that this share of all is in or below; NULL of nothing.
CREATE FUNCTION ttft_quantile(counts bigint[], share double precision) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    total bigint := 0;
    seen bigint := 0;
    n bigint;
BEGIN
    FOREACH n IN ARRAY counts LOOP
        total := total + coalesce(n, 0);
    END LOOP;
    FOR bucket IN coalesce(array_lower(counts, 1), 0) .. coalesce(array_upper(counts, 1), -1) LOOP
        seen := seen + coalesce(counts[bucket], 0);
        IF seen > 0 AND seen >= share * total THEN
            RETURN ttft_of_bucket(bucket);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
