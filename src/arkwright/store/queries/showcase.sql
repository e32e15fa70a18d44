-- Models as customers see them: what serves them, what they cost, and how fast they were (`pace`, kept by a follower).

-- name: follow!
-- Adds the charges at these places. The bucket of a first token: eighths of an octave from a millisecond on.
WITH taken AS MATERIALIZED (
    SELECT model, started_at, finish <> 'upstream_error' AS served,
        CASE WHEN ttft_us > 0
             THEN least(143, greatest(0, floor(8 * ln(ttft_us::float8 / 1000) / ln(2::float8))))::smallint END AS bucket,
        output_tokens + reasoning_tokens - 1 AS timed_tokens,
        (extract(epoch FROM ended_at - started_at) * 1000000)::bigint - ttft_us AS timed_us
    FROM ledger_place AS place JOIN charge USING (transaction_id)
    WHERE place.position >= :position AND place.position <= :upto AND charge.started_at >= :since
), spread AS MATERIALIZED (
    SELECT span.span_s, date_bin(span.span_s * interval '1 second', started_at, timestamptz 'epoch') AS at, taken.*,
        taken.bucket IS NOT NULL AND taken.timed_tokens > 0 AND taken.timed_us > 0 AS timed
    FROM taken CROSS JOIN (VALUES (600), (3600)) AS span (span_s)
), buckets AS (
    SELECT span_s, at, model, jsonb_object_agg(bucket, requests) AS ttft
    FROM (SELECT span_s, at, model, bucket, count(*) AS requests FROM spread WHERE bucket IS NOT NULL
          GROUP BY 1, 2, 3, 4) AS counted
    GROUP BY 1, 2, 3
), summed AS (
    SELECT span_s, at, model, count(*) FILTER (WHERE served) AS served, count(*) FILTER (WHERE NOT served) AS broken,
        coalesce(sum(timed_tokens) FILTER (WHERE timed), 0) AS timed_tokens,
        coalesce(sum(timed_us) FILTER (WHERE timed), 0) AS timed_us
    FROM spread GROUP BY 1, 2, 3
)
INSERT INTO pace AS kept (span_s, at, model, served, broken, timed_tokens, timed_us, ttft)
SELECT span_s, at, model, served, broken, timed_tokens, timed_us, coalesce(ttft, '{}')
FROM summed LEFT JOIN buckets USING (span_s, at, model) ORDER BY 1, 3, 2
ON CONFLICT (span_s, model, at) DO UPDATE SET
    served = kept.served + excluded.served, broken = kept.broken + excluded.broken,
    timed_tokens = kept.timed_tokens + excluded.timed_tokens, timed_us = kept.timed_us + excluded.timed_us,
    ttft = add_buckets(kept.ttft, excluded.ttft);

-- name: forget!
-- What no window shows any more.
WITH paces AS (
    DELETE FROM pace WHERE span_s = 600 AND at < :minutes_since OR span_s = 3600 AND at < :hours_since
)
DELETE FROM pace_failed WHERE at < :hours_since;

-- name: paces
-- Of each model the ten-minute spans of the last hour, and the hours of the last day.
SELECT span_s, model, served, broken, timed_tokens, timed_us, ttft::text AS ttft
FROM pace WHERE span_s = 600 AND model = ANY (:models) AND at >= :hour_since
UNION ALL
SELECT span_s, model, served, broken, timed_tokens, timed_us, ttft::text
FROM pace WHERE span_s = 3600 AND model = ANY (:models) AND at >= :day_since;

-- name: failures
SELECT model, coalesce(sum(requests) FILTER (WHERE at >= :hour_since), 0)::bigint AS hour,
    coalesce(sum(requests) FILTER (WHERE at >= :day_since), 0)::bigint AS day
FROM pace_failed WHERE at >= least(:hour_since::timestamptz, :day_since::timestamptz) AND model = ANY (:models)
GROUP BY model;

-- name: hourly_paces
SELECT at, served, broken, timed_tokens, timed_us, ttft::text AS ttft FROM pace
WHERE span_s = 3600 AND model = :model AND at >= :since;

-- name: hourly_failures
SELECT date_trunc('hour', at, 'UTC') AS at, sum(requests)::bigint AS requests FROM pace_failed
WHERE pace_failed.at >= :since AND model = :model GROUP BY 1;

-- name: shelf
-- Models by name, with what serves them. `found`: a part of a name, in whatever case.
SELECT model.id, model.name, model.kind, model.context_tokens, model.max_output_tokens, model.created_at,
    model.free_grant_tokens, model.free_grant_days, provider.name AS provider, deployment.name AS deployment,
    deployment.desired, (
        SELECT count(*) FROM replica WHERE replica.deployment_id = deployment.id AND replica.state = 'ready'
    ) AS ready_replicas
FROM model LEFT JOIN provider ON provider.id = model.provider_id
LEFT JOIN deployment ON deployment.id = model.deployment_id
WHERE model.name > :after AND (:name::text IS NULL OR model.name = :name)
  AND (:kind::text IS NULL OR model.kind = :kind)
  AND (:found::text IS NULL OR strpos(lower(model.name), lower(:found)) > 0)
ORDER BY model.name LIMIT :limit;

-- name: prices
-- Of these models: every version in force now or to come, in one currency or in all.
SELECT id, model, currency, rules, windows, valid_from, created_at
FROM price_version AS version
WHERE model = ANY (:models) AND (:currency::text IS NULL OR currency = :currency) AND NOT EXISTS (
    SELECT FROM price_version AS later
    WHERE later.model = version.model AND later.currency = version.currency
      AND later.valid_from > version.valid_from AND later.valid_from <= :at
)
ORDER BY model, currency, valid_from;

-- name: price_history
-- The latest versions of one model, newest first.
SELECT id, model, currency, rules, windows, valid_from, created_at FROM price_version
WHERE model = :model AND (:currency::text IS NULL OR currency = :currency)
ORDER BY valid_from DESC, currency LIMIT :limit;

-- name: endpoints
-- Running ones that lead to these models and that this organization may call; all of them where none is named.
SELECT endpoint.id, endpoint.name, endpoint.organization_id
FROM endpoint JOIN model ON model.id = endpoint.model_id
WHERE model.name = ANY (:models) AND endpoint.state = 'running' AND (
    :organization_id::text IS NULL OR endpoint.organization_id = :organization_id
    OR endpoint.organization_id IS NULL
       AND (endpoint.organizations = '{}' OR :organization_id = ANY (endpoint.organizations)))
ORDER BY endpoint.id LIMIT :limit;
