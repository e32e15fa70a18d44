-- From journal to ledger: where each journal is settled to, and the charges of one batch.

-- name: open_writer!
INSERT INTO journal_writer (incarnation, host, slot, opened_at)
VALUES (:incarnation, :host, :slot, timestamptz 'epoch' + :opened_us * interval '1 microsecond')
ON CONFLICT (incarnation) DO NOTHING;

-- name: lock_writer^
SELECT closed_at FROM journal_writer WHERE incarnation = :incarnation FOR SHARE;

-- name: open_segment!
INSERT INTO journal_segment (incarnation, segment, settled_offset, settled_sequence, head_hash)
VALUES (:incarnation, :segment, :offset, :sequence, :head)
ON CONFLICT (incarnation, segment) DO NOTHING;

-- name: advance!
-- Compare and set: one row, or another settler was here first.
UPDATE journal_segment
SET settled_offset = :offset, settled_sequence = :sequence, head_hash = :head
WHERE incarnation = :incarnation AND segment = :segment AND settled_offset = :from_offset;

-- name: position^
SELECT segment, settled_offset, settled_sequence, head_hash
FROM journal_segment WHERE incarnation = :incarnation ORDER BY segment DESC LIMIT 1;

-- name: closed_writers
SELECT incarnation FROM journal_writer WHERE host = :host AND closed_at IS NOT NULL;

-- name: closed_among
SELECT incarnation FROM journal_writer WHERE incarnation = ANY (:incarnations) AND closed_at IS NOT NULL;

-- name: close_writer!
UPDATE journal_writer SET closed_at = now() WHERE incarnation = :incarnation AND closed_at IS NULL;

-- name: known_events
SELECT event_id FROM charge WHERE event_id = ANY (:event_ids::uuid[]);

-- name: copy_charges!
COPY charge (
    event_id, organization_id, organization_class, industry, prepaid, project_id, key_id, endpoint, model, target,
    upstream_model, upstream_request_id, streamed, status, finish, input_tokens, cached_input_tokens,
    cache_write_tokens, output_tokens, reasoning_tokens, usage_source, currency, price_version, amount_pico,
    uncollected_pico, granted_pico, queue_us, incarnation, sequence, endpoint_id, connect_us, started_at, ended_at,
    lines, other_counts, circumstances, draws, attempts, transaction_id, ttft_us
) FROM STDIN;

-- name: add_usage!
INSERT INTO usage_hourly (
    organization_id, hour, project_id, key_id, model, target, currency, usage_source, organization_class, industry,
    endpoint, requests, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
    image_tokens, audio_tokens, video_tokens, amount_pico, plain_requests
)
SELECT
    given.organization_id, timestamptz 'epoch' + given.started_us * interval '1 microsecond', given.project_id,
    given.key_id, given.model, given.target, given.currency, given.usage_source, given.organization_class,
    given.industry, given.endpoint, given.requests, given.input_tokens, given.cached_input_tokens,
    given.cache_write_tokens, given.output_tokens, given.reasoning_tokens, given.image_tokens, given.audio_tokens,
    given.video_tokens, given.amount_pico, given.plain_requests
FROM jsonb_to_recordset(:usage::jsonb) AS given (
    organization_id text, started_us bigint, project_id text, key_id text, model text, target text, currency text,
    usage_source text, organization_class text, industry text, endpoint text, requests bigint, input_tokens bigint,
    cached_input_tokens bigint, cache_write_tokens bigint, output_tokens bigint, reasoning_tokens bigint,
    image_tokens bigint, audio_tokens bigint, video_tokens bigint, amount_pico numeric, plain_requests bigint
)
ON CONFLICT (
    organization_id, hour, project_id, key_id, model, target, currency, usage_source, organization_class, industry,
    endpoint
) DO UPDATE SET
    requests = usage_hourly.requests + excluded.requests,
    input_tokens = usage_hourly.input_tokens + excluded.input_tokens,
    cached_input_tokens = usage_hourly.cached_input_tokens + excluded.cached_input_tokens,
    cache_write_tokens = usage_hourly.cache_write_tokens + excluded.cache_write_tokens,
    output_tokens = usage_hourly.output_tokens + excluded.output_tokens,
    reasoning_tokens = usage_hourly.reasoning_tokens + excluded.reasoning_tokens,
    image_tokens = usage_hourly.image_tokens + excluded.image_tokens,
    audio_tokens = usage_hourly.audio_tokens + excluded.audio_tokens,
    video_tokens = usage_hourly.video_tokens + excluded.video_tokens,
    amount_pico = usage_hourly.amount_pico + excluded.amount_pico,
    plain_requests = usage_hourly.plain_requests + excluded.plain_requests;

-- name: insert_failures!
-- One by one, and by the hour, each event once.
WITH failed AS (
    INSERT INTO request_failure (
        event_id, organization_id, project_id, key_id, endpoint, endpoint_id, model, target, streamed, status, code,
        message, started_at, ended_at, queue_us, attempts
    )
    SELECT event_id, organization_id, project_id, key_id, endpoint, endpoint_id, model, target, streamed, status, code,
        message, timestamptz 'epoch' + started_us * interval '1 microsecond',
        timestamptz 'epoch' + ended_us * interval '1 microsecond', queue_us, attempts
    FROM jsonb_to_recordset(:failures::jsonb) AS given (
        event_id uuid, organization_id text, project_id text, key_id text, endpoint text, endpoint_id text, model text,
        target text, streamed boolean, status integer, code text, message text, started_us bigint, ended_us bigint,
        queue_us bigint, attempts jsonb
    )
    ORDER BY event_id
    ON CONFLICT (event_id) DO NOTHING
    RETURNING ended_at, organization_id, model, target, status
), paced AS (
    INSERT INTO pace_failed (at, model, requests)
    SELECT date_bin(interval '10 minutes', ended_at, timestamptz 'epoch'), model, count(*)
    FROM failed WHERE status >= 500 AND model <> '' GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (at, model) DO UPDATE SET requests = pace_failed.requests + excluded.requests
)
INSERT INTO void_hourly (hour, organization_id, model, target, status, requests)
SELECT date_trunc('hour', ended_at, 'UTC'), organization_id, model, target, status, count(*)
FROM failed
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (hour, organization_id, model, target, status) DO UPDATE SET
    requests = void_hourly.requests + excluded.requests;

-- name: insert_void_attempts!
INSERT INTO void_attempt (
    event_id, number, organization_id, model, target, upstream_model, at, status, counts, unknown
)
SELECT event_id, number, organization_id, model, target, upstream_model,
    timestamptz 'epoch' + started_us * interval '1 microsecond', status, counts, unknown
FROM jsonb_to_recordset(:attempts::jsonb) AS given (
    event_id uuid, number integer, organization_id text, model text, target text, upstream_model text,
    started_us bigint, status integer, counts jsonb, unknown boolean
)
ON CONFLICT DO NOTHING;
