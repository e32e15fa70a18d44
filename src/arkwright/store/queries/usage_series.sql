-- Series of usage, failures and first-token times: kept by a follower of the feed, read by piece (hours, days, months).

-- name: roll_up!
WITH counted AS MATERIALIZED (
    SELECT charge.transaction_id, charge.organization_id, charge.project_id, charge.key_id, charge.model, charge.target,
        charge.currency, date_trunc('hour', charge.started_at, 'UTC') AS hour, count(*) AS requests,
        count(*) FILTER (WHERE charge.finish = 'upstream_error') AS broken,
        sum(charge.input_tokens + charge.cached_input_tokens + charge.cache_write_tokens + charge.output_tokens
            + charge.reasoning_tokens
            + CASE WHEN charge.other_counts = '{}' THEN 0 ELSE other_text_tokens(charge.other_counts)
                + modality_tokens(charge.other_counts, 'image') + modality_tokens(charge.other_counts, 'audio')
                + modality_tokens(charge.other_counts, 'video') END) AS tokens,
        sum(charge.output_tokens + charge.reasoning_tokens) AS output_tokens, sum(charge.amount_pico) AS amount_pico
    FROM ledger_place AS place JOIN charge USING (transaction_id)
    WHERE place.position >= :position AND place.position <= :upto
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    UNION ALL
    SELECT adjustment.transaction_id, charge.organization_id, charge.project_id, charge.key_id, charge.model,
        charge.target, charge.currency, date_trunc('hour', charge.started_at, 'UTC'), 0, 0, 0, 0,
        sum(adjustment.delta_pico)
    FROM ledger_place AS place
    JOIN charge_adjustment AS adjustment USING (transaction_id)
    JOIN charge ON charge.event_id = adjustment.event_id
    WHERE place.position >= :position AND place.position <= :upto
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), posted AS (
    SELECT transaction.id AS transaction_id, transaction.organization_id, transaction.currency,
        date_trunc('hour', transaction.posted_at, 'UTC') AS hour, coalesce(sum(entry.amount_pico), 0) AS amount_pico
    FROM ledger_place AS place
    JOIN ledger_transaction AS transaction ON transaction.id = place.transaction_id
    LEFT JOIN (
        SELECT entry.transaction_id, entry.amount_pico
        FROM ledger_entry AS entry JOIN ledger_account AS account ON account.id = entry.account_id
        WHERE account.kind = 'revenue_maas'
    ) AS entry ON entry.transaction_id = transaction.id
    WHERE place.position >= :position AND place.position <= :upto AND transaction.kind IN ('charges', 'rerating')
    GROUP BY 1, 2, 3, 4
), by_hour AS (
    -- What a transaction posted, in the hours of its charges: each has theirs, and the last one the rest of the posting.
    SELECT posted.organization_id, posted.currency, coalesce(held.hour, posted.hour) AS hour,
        coalesce(held.amount_pico, 0)
        + CASE WHEN row_number() OVER (PARTITION BY posted.transaction_id ORDER BY held.hour DESC) = 1
            THEN posted.amount_pico - coalesce(sum(held.amount_pico) OVER (PARTITION BY posted.transaction_id), 0)
            ELSE 0 END AS ledger_pico
    FROM posted LEFT JOIN (
        SELECT transaction_id, hour, sum(amount_pico) AS amount_pico FROM counted GROUP BY 1, 2
    ) AS held USING (transaction_id)
), told AS (
    SELECT told.scope, told.split, counted.hour, told.value, counted.currency, counted.requests, counted.broken,
        counted.tokens, counted.output_tokens, counted.amount_pico, 0 AS ledger_pico
    FROM counted CROSS JOIN LATERAL (VALUES
        (organization_id, 'total', ''), (organization_id, 'model', model), (organization_id, 'key', key_id),
        (organization_id, 'project', project_id), (organization_id, 'provider', target), ('', 'total', ''),
        ('', 'model', model), ('', 'customer', organization_id), ('', 'provider', target)
    ) AS told (scope, split, value)
    UNION ALL
    SELECT told.scope, 'total', by_hour.hour, '', by_hour.currency, 0, 0, 0, 0, 0, by_hour.ledger_pico
    FROM by_hour CROSS JOIN LATERAL (VALUES (organization_id), ('')) AS told (scope)
), hourly AS MATERIALIZED (
    SELECT scope, split, hour, value, currency, sum(requests)::bigint AS requests, sum(broken)::bigint AS broken,
        sum(tokens)::bigint AS tokens, sum(output_tokens)::bigint AS output_tokens, sum(amount_pico) AS amount_pico,
        sum(ledger_pico) AS ledger_pico
    FROM told GROUP BY 1, 2, 3, 4, 5
)
INSERT INTO usage_series AS kept (
    scope, split, grain, at, value, currency, requests, broken, tokens, output_tokens, amount_pico, ledger_pico
)
-- In no order: one follows at a time, so nobody waits for whom waits for him.
SELECT scope, split, 'hour', hour, value, currency, requests, broken, tokens, output_tokens, amount_pico, ledger_pico
FROM hourly
UNION ALL
SELECT scope, split, 'day', date_trunc('day', hour, 'UTC'), value, currency, sum(requests), sum(broken), sum(tokens),
    sum(output_tokens), sum(amount_pico), sum(ledger_pico)
FROM hourly GROUP BY 1, 2, 4, 5, 6
UNION ALL
SELECT scope, split, 'month', date_trunc('month', hour, 'UTC'), value, currency, sum(requests), sum(broken), sum(tokens),
    sum(output_tokens), sum(amount_pico), sum(ledger_pico)
FROM hourly GROUP BY 1, 2, 4, 5, 6
ON CONFLICT (scope, split, grain, at, value, currency) DO UPDATE SET
    requests = kept.requests + excluded.requests, broken = kept.broken + excluded.broken,
    tokens = kept.tokens + excluded.tokens, output_tokens = kept.output_tokens + excluded.output_tokens,
    amount_pico = kept.amount_pico + excluded.amount_pico, ledger_pico = kept.ledger_pico + excluded.ledger_pico;

-- name: roll_up_first_tokens!
WITH counted AS MATERIALIZED (
    SELECT charge.organization_id, charge.project_id, charge.key_id, charge.model, charge.target,
        date_trunc('hour', charge.started_at, 'UTC') AS hour, ttft_bucket(charge.ttft_us) AS bucket, count(*) AS n
    FROM ledger_place AS place JOIN charge USING (transaction_id)
    WHERE place.position >= :position AND place.position <= :upto AND charge.streamed AND charge.ttft_us IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5, 6, 7
), summed AS (
    SELECT told.scope, told.split, counted.hour, told.value, counted.bucket, sum(counted.n)::bigint AS n
    FROM counted CROSS JOIN LATERAL (VALUES
        (organization_id, 'total', ''), (organization_id, 'model', model), (organization_id, 'key', key_id),
        (organization_id, 'project', project_id), (organization_id, 'provider', target), ('', 'total', ''),
        ('', 'model', model), ('', 'customer', organization_id), ('', 'provider', target)
    ) AS told (scope, split, value)
    GROUP BY 1, 2, 3, 4, 5
), hourly AS MATERIALIZED (
    SELECT scope, split, hour, value, count_in_buckets(bucket, n) AS counts FROM summed GROUP BY 1, 2, 3, 4
), counts AS (
    SELECT scope, split, 'hour' AS grain, hour AS at, value, counts FROM hourly
    UNION ALL
    SELECT scope, split, 'day', date_trunc('day', hour, 'UTC'), value, sum_counts(counts) FROM hourly GROUP BY 1, 2, 4, 5
    UNION ALL
    SELECT scope, split, 'month', date_trunc('month', hour, 'UTC'), value, sum_counts(counts)
    FROM hourly GROUP BY 1, 2, 4, 5
)
INSERT INTO first_token_series AS kept (scope, split, grain, at, value, p50_us, p95_us, counts)
SELECT scope, split, grain, at, value, ttft_quantile(counts, 0.5), ttft_quantile(counts, 0.95), counts
FROM counts
ON CONFLICT (scope, split, grain, at, value) DO UPDATE SET
    (p50_us, p95_us, counts) = (
        SELECT ttft_quantile(added.counts, 0.5), ttft_quantile(added.counts, 0.95), added.counts
        FROM (SELECT add_counts(kept.counts, excluded.counts) AS counts OFFSET 0) AS added
    );

-- name: roll_up_failures$
WITH failed AS (
    UPDATE request_failure SET counted = true
    WHERE event_id IN (SELECT event_id FROM request_failure WHERE NOT counted ORDER BY event_id LIMIT :limit)
    RETURNING organization_id, project_id, key_id, model, target, started_at, status
), counted AS MATERIALIZED (
    SELECT organization_id, project_id, key_id, model, target, date_trunc('hour', started_at, 'UTC') AS hour,
        count(*) FILTER (WHERE status <> 499) AS failed, count(*) FILTER (WHERE status = 499) AS hung_up
    FROM failed GROUP BY 1, 2, 3, 4, 5, 6
), kept AS (
    INSERT INTO failure_series AS kept (scope, split, grain, at, value, failed, hung_up)
    SELECT told.scope, told.split, piece.grain, piece.at, told.value, sum(counted.failed), sum(counted.hung_up)
    FROM counted CROSS JOIN LATERAL (VALUES
        (organization_id, 'total', ''), (organization_id, 'model', model), (organization_id, 'key', key_id),
        (organization_id, 'project', project_id), (organization_id, 'provider', target), ('', 'total', ''),
        ('', 'model', model), ('', 'customer', organization_id), ('', 'provider', target)
    ) AS told (scope, split, value) CROSS JOIN LATERAL (VALUES
        ('hour', hour), ('day', date_trunc('day', hour, 'UTC')), ('month', date_trunc('month', hour, 'UTC'))
    ) AS piece (grain, at)
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (scope, split, grain, at, value) DO UPDATE SET
        failed = kept.failed + excluded.failed, hung_up = kept.hung_up + excluded.hung_up
)
SELECT count(*) FROM failed;

-- name: totals
-- Of each value, in the pieces of the period (0) and of the one before it (1).
SELECT period, value, currency, sum(requests)::bigint AS requests, sum(broken)::bigint AS broken,
    sum(tokens)::bigint AS tokens, sum(output_tokens)::bigint AS output_tokens, sum(amount_pico) AS amount_pico,
    sum(ledger_pico) AS ledger_pico
FROM unnest(:periods::integer[], :grains::text[], :sinces::timestamptz[], :untils::timestamptz[])
    AS piece (period, grain, since, until)
JOIN usage_series AS series ON series.scope = :scope AND series.split = :split AND series.grain = piece.grain
    AND series.at >= piece.since AND series.at < piece.until
GROUP BY period, value, currency;

-- name: failed_totals
SELECT period, value, sum(failed)::bigint AS failed, sum(hung_up)::bigint AS hung_up
FROM unnest(:periods::integer[], :grains::text[], :sinces::timestamptz[], :untils::timestamptz[])
    AS piece (period, grain, since, until)
JOIN failure_series AS series ON series.scope = :scope AND series.split = :split AND series.grain = piece.grain
    AND series.at >= piece.since AND series.at < piece.until
GROUP BY period, value;

-- name: first_token_totals
-- Of a few values. Buckets are numbered from each row's own lowest.
SELECT period, value, ttft_quantile(counts, 0.5) AS p50_us, ttft_quantile(counts, 0.95) AS p95_us
FROM (
    SELECT period, value, count_in_buckets(bucket, n) AS counts
    FROM (
        SELECT piece.period, series.value, (array_lower(series.counts, 1) + held.place - 1)::integer AS bucket,
            sum(held.n)::bigint AS n
        FROM unnest(:periods::integer[], :grains::text[], :sinces::timestamptz[], :untils::timestamptz[])
            AS piece (period, grain, since, until)
        JOIN first_token_series AS series ON series.scope = :scope AND series.split = :split
            AND series.grain = piece.grain AND series.at >= piece.since AND series.at < piece.until
            AND series.value = ANY (:values::text[])
        CROSS JOIN LATERAL unnest(series.counts) WITH ORDINALITY AS held (n, place)
        WHERE held.n IS NOT NULL
        GROUP BY 1, 2, 3
    ) AS added
    GROUP BY 1, 2 OFFSET 0
) AS summed;

-- name: points
-- By the primary key, moment by moment and value by value: others are not read, however many there are.
SELECT series.at, series.value, series.currency, series.requests, series.broken, series.tokens, series.output_tokens,
    series.amount_pico
FROM unnest(:moments::timestamptz[]) AS moment (at) CROSS JOIN unnest(:values::text[]) AS shown (value)
JOIN LATERAL (
    SELECT * FROM usage_series WHERE scope = :scope AND split = :split AND grain = :grain AND at = moment.at
        AND value = shown.value OFFSET 0
) AS series ON true;

-- name: failed_points
SELECT series.at, series.value, series.failed, series.hung_up
FROM unnest(:moments::timestamptz[]) AS moment (at) CROSS JOIN unnest(:values::text[]) AS shown (value)
JOIN LATERAL (
    SELECT * FROM failure_series WHERE scope = :scope AND split = :split AND grain = :grain AND at = moment.at
        AND value = shown.value OFFSET 0
) AS series ON true;

-- name: first_token_points
SELECT series.at, series.value, series.p50_us, series.p95_us
FROM unnest(:moments::timestamptz[]) AS moment (at) CROSS JOIN unnest(:values::text[]) AS shown (value)
JOIN LATERAL (
    SELECT at, value, p50_us, p95_us FROM first_token_series WHERE scope = :scope AND split = :split AND grain = :grain
        AND at = moment.at AND value = shown.value OFFSET 0
) AS series ON true;

-- name: names_of
-- What people call keys, projects and customers.
SELECT id, name FROM (
    SELECT id, name FROM organization WHERE :split = 'customer' AND id = ANY (:ids::text[])
    UNION ALL SELECT id, name FROM project WHERE :split = 'project' AND id = ANY (:ids::text[])
    UNION ALL SELECT id, name FROM api_key WHERE :split = 'key' AND id = ANY (:ids::text[])
) AS known WHERE name <> '';

-- name: charged
-- What charges of one organization come to by themselves: those that the series have, so many at most.
SELECT currency, count(*) AS requests, sum(amount_pico) AS amount_pico
FROM (
    SELECT charge.currency, charge.amount_pico + coalesce((
        SELECT sum(adjustment.delta_pico)
        FROM charge_adjustment AS adjustment JOIN ledger_place AS late USING (transaction_id)
        WHERE adjustment.event_id = charge.event_id AND late.position < follower.position
    ), 0) AS amount_pico
    FROM follower, charge JOIN ledger_place AS place USING (transaction_id)
    WHERE follower.name = 'usage_series' AND place.position < follower.position
      AND charge.organization_id = :organization_id AND charge.started_at >= :since AND charge.started_at < :until
    LIMIT :limit
) AS taken GROUP BY currency;

-- name: charged_of_all
SELECT currency, count(*) AS requests, sum(amount_pico) AS amount_pico
FROM (
    SELECT charge.currency, charge.amount_pico + coalesce((
        SELECT sum(adjustment.delta_pico)
        FROM charge_adjustment AS adjustment JOIN ledger_place AS late USING (transaction_id)
        WHERE adjustment.event_id = charge.event_id AND late.position < follower.position
    ), 0) AS amount_pico
    FROM follower, charge JOIN ledger_place AS place USING (transaction_id)
    WHERE follower.name = 'usage_series' AND place.position < follower.position
      AND charge.event_id >= :first_id::uuid AND charge.event_id <= :last_id::uuid
      AND charge.started_at >= :since AND charge.started_at < :until
    LIMIT :limit
) AS taken GROUP BY currency;
