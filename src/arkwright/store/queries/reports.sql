-- Reports. Sums come from the roll-ups where there is one; what is said "of each request" reads charges.

-- name: usage_sums
-- Grouped as asked, and by currency.
SELECT
    CASE WHEN 'organization' = ANY (:by::text[]) THEN organization_id END AS organization,
    CASE WHEN 'class' = ANY (:by::text[]) THEN organization_class END AS organization_class,
    CASE WHEN 'industry' = ANY (:by::text[]) THEN industry END AS industry,
    CASE WHEN 'project' = ANY (:by::text[]) THEN project_id END AS project,
    CASE WHEN 'key' = ANY (:by::text[]) THEN key_id END AS key,
    CASE WHEN 'model' = ANY (:by::text[]) THEN model END AS model,
    CASE WHEN 'provider' = ANY (:by::text[]) THEN target END AS provider,
    CASE WHEN 'endpoint' = ANY (:by::text[]) THEN endpoint END AS endpoint,
    CASE WHEN 'hour' = ANY (:by::text[]) THEN hour END AS hour,
    CASE WHEN 'day' = ANY (:by::text[]) THEN date_trunc('day', hour, 'UTC') END AS day,
    CASE WHEN 'month' = ANY (:by::text[]) THEN date_trunc('month', hour, 'UTC') END AS month,
    currency,
    sum(requests)::bigint AS requests,
    coalesce(sum(requests) FILTER (WHERE usage_source = 'estimated'), 0)::bigint AS estimated_requests,
    sum(input_tokens)::bigint AS input_tokens,
    sum(cached_input_tokens)::bigint AS cached_input_tokens,
    sum(cache_write_tokens)::bigint AS cache_write_tokens,
    sum(output_tokens)::bigint AS output_tokens,
    sum(reasoning_tokens)::bigint AS reasoning_tokens,
    sum(image_tokens)::bigint AS image_tokens,
    sum(audio_tokens)::bigint AS audio_tokens,
    sum(video_tokens)::bigint AS video_tokens,
    sum(amount_pico) AS amount_pico
FROM usage_hourly
WHERE hour >= :since AND hour < :until
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
ORDER BY hour, day, month, amount_pico DESC, 1, 2, 3, 4, 5, 6, 7, 8, currency
LIMIT :limit;

-- name: latencies
-- Of answered requests, exact: the values at the rank, not between two.
SELECT
    CASE WHEN 'organization' = ANY (:by::text[]) THEN organization_id END AS organization,
    CASE WHEN 'model' = ANY (:by::text[]) THEN model END AS model,
    CASE WHEN 'provider' = ANY (:by::text[]) THEN target END AS provider,
    CASE WHEN 'endpoint' = ANY (:by::text[]) THEN endpoint END AS endpoint,
    CASE WHEN 'hour' = ANY (:by::text[]) THEN date_trunc('hour', started_at, 'UTC') END AS hour,
    CASE WHEN 'day' = ANY (:by::text[]) THEN date_trunc('day', started_at, 'UTC') END AS day,
    count(*) AS requests,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY ttft_us) AS ttft_p50_us,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY ttft_us) AS ttft_p95_us,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY (extract(epoch FROM ended_at - started_at) * 1000000)::bigint) AS p50_us,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY (extract(epoch FROM ended_at - started_at) * 1000000)::bigint) AS p95_us
FROM charge
WHERE started_at >= :since AND started_at < :until AND finish = 'completed'
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 5, 6, requests DESC, 1, 2, 3, 4
LIMIT :limit;

-- name: errors
-- Requests that were admitted and came to nothing, beside those that were served.
WITH failed AS (
    SELECT
        CASE WHEN 'organization' = ANY (:by::text[]) THEN organization_id END AS organization,
        CASE WHEN 'model' = ANY (:by::text[]) THEN model END AS model,
        CASE WHEN 'provider' = ANY (:by::text[]) THEN target END AS provider,
        CASE WHEN 'hour' = ANY (:by::text[]) THEN hour END AS hour,
        CASE WHEN 'day' = ANY (:by::text[]) THEN date_trunc('day', hour, 'UTC') END AS day,
        sum(requests) FILTER (WHERE status BETWEEN 400 AND 499 AND status NOT IN (408, 429, 499)) AS refused,
        sum(requests) FILTER (WHERE status IN (408, 429)) AS overloaded,
        sum(requests) FILTER (WHERE status = 499) AS hung_up,
        sum(requests) FILTER (WHERE status >= 500) AS failed,
        sum(requests) AS requests
    FROM void_hourly WHERE hour >= :since AND hour < :until
    GROUP BY 1, 2, 3, 4, 5
), served AS (
    SELECT
        CASE WHEN 'organization' = ANY (:by::text[]) THEN organization_id END AS organization,
        CASE WHEN 'model' = ANY (:by::text[]) THEN model END AS model,
        CASE WHEN 'provider' = ANY (:by::text[]) THEN target END AS provider,
        CASE WHEN 'hour' = ANY (:by::text[]) THEN hour END AS hour,
        CASE WHEN 'day' = ANY (:by::text[]) THEN date_trunc('day', hour, 'UTC') END AS day,
        sum(requests) AS requests
    FROM usage_hourly WHERE hour >= :since AND hour < :until
    GROUP BY 1, 2, 3, 4, 5
)
SELECT known.organization, known.model, known.provider, known.hour, known.day,
    coalesce(served.requests, 0)::bigint AS served,
    coalesce(failed.refused, 0)::bigint AS refused, coalesce(failed.overloaded, 0)::bigint AS overloaded,
    coalesce(failed.hung_up, 0)::bigint AS hung_up, coalesce(failed.failed, 0)::bigint AS failed,
    coalesce(failed.requests, 0)::bigint AS all_failed
FROM (SELECT DISTINCT organization, model, provider, hour, day FROM (
    SELECT organization, model, provider, hour, day FROM failed
    UNION ALL SELECT organization, model, provider, hour, day FROM served) AS known) AS known
LEFT JOIN failed ON (failed.organization, failed.model, failed.provider, failed.hour, failed.day)
    IS NOT DISTINCT FROM (known.organization, known.model, known.provider, known.hour, known.day)
LEFT JOIN served ON (served.organization, served.model, served.provider, served.hour, served.day)
    IS NOT DISTINCT FROM (known.organization, known.model, known.provider, known.hour, known.day)
ORDER BY 5, 4, coalesce(failed.failed, 0) DESC, coalesce(failed.requests, 0) DESC, 1, 2, 3
LIMIT :limit;

-- name: cache_savings
-- What cached tokens would have cost as ordinary input of the same request: where it has a line for that, at its price.
SELECT
    CASE WHEN 'organization' = ANY (:by::text[]) THEN organization_id END AS organization,
    CASE WHEN 'model' = ANY (:by::text[]) THEN model END AS model,
    CASE WHEN 'provider' = ANY (:by::text[]) THEN target END AS provider,
    CASE WHEN 'day' = ANY (:by::text[]) THEN date_trunc('day', started_at, 'UTC') END AS day,
    currency,
    count(*) AS requests,
    sum(cached.quantity)::bigint AS cached_tokens,
    coalesce(sum(cached.quantity) FILTER (WHERE input.price IS NULL), 0)::bigint AS unknown_tokens,
    coalesce(sum(cached.amount) FILTER (WHERE input.price IS NOT NULL), 0) AS amount_pico,
    coalesce(sum(cached.quantity * input.price - cached.amount) FILTER (WHERE input.price IS NOT NULL), 0) AS saved_pico
FROM charge
CROSS JOIN LATERAL (
    SELECT sum((line ->> 'quantity')::numeric) AS quantity,
           sum((line ->> 'quantity')::numeric * coalesce((line ->> 'list_pico_per_unit')::numeric,
                                                         (line ->> 'pico_per_unit')::numeric)) AS amount
    FROM jsonb_array_elements(lines) AS line WHERE line ->> 'item' IN ('cached_input', 'explicit_cached_input')
) AS cached
CROSS JOIN LATERAL (
    SELECT max(coalesce((line ->> 'list_pico_per_unit')::numeric, (line ->> 'pico_per_unit')::numeric)) AS price
    FROM jsonb_array_elements(lines) AS line WHERE line ->> 'item' = 'input'
) AS input
WHERE started_at >= :since AND started_at < :until AND cached.quantity > 0
GROUP BY 1, 2, 3, 4, 5
ORDER BY 4, saved_pico DESC, 1, 2, 3
LIMIT :limit;

-- name: capacity
SELECT target AS provider, currency_free.requests, tokens, busiest.hour AS busiest_hour, busiest.hour_tokens,
    busiest.hour_requests, coalesce(machine.replica_us, 0)::bigint AS replica_us
FROM (
    SELECT target, sum(requests)::bigint AS requests,
        sum(input_tokens + cached_input_tokens + cache_write_tokens + output_tokens + reasoning_tokens + image_tokens
            + audio_tokens + video_tokens)::bigint AS tokens
    FROM usage_hourly WHERE hour >= :since AND hour < :until GROUP BY target
) AS currency_free
CROSS JOIN LATERAL (
    SELECT hour, sum(requests)::bigint AS hour_requests,
        sum(input_tokens + cached_input_tokens + cache_write_tokens + output_tokens + reasoning_tokens + image_tokens
            + audio_tokens + video_tokens)::bigint AS hour_tokens
    FROM usage_hourly WHERE usage_hourly.target = currency_free.target AND hour >= :since AND hour < :until
    GROUP BY hour ORDER BY hour_tokens DESC, hour LIMIT 1
) AS busiest
LEFT JOIN (
    SELECT target, sum(replica_us) AS replica_us FROM machine_hour WHERE hour >= :since AND hour < :until GROUP BY target
) AS machine USING (target)
ORDER BY tokens DESC, target
LIMIT :limit;

-- name: organization_names
SELECT id, name FROM organization WHERE id = ANY (:ids);

-- name: project_names
SELECT id, name FROM project WHERE id = ANY (:ids);

-- name: key_names
SELECT id, name FROM api_key WHERE id = ANY (:ids);
