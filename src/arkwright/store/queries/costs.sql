-- What attempts at upstreams cost the operator: versions, a row for each attempt, sums by hour, machine hours.

-- name: versions
SELECT id, target, upstream_model, currency, rules, windows, pico_per_hour, valid_from FROM cost_version
WHERE :targets::text[] IS NULL OR target = ANY (:targets::text[])
ORDER BY target, upstream_model, valid_from;

-- name: version_page
SELECT id, target, upstream_model, currency, rules, windows, pico_per_hour, valid_from FROM cost_version
WHERE id > :after ORDER BY id LIMIT :limit;

-- name: insert_version!
INSERT INTO cost_version (id, target, upstream_model, currency, rules, windows, pico_per_hour, valid_from)
VALUES (:id, :target, :upstream_model, :currency, :rules, :windows, :pico_per_hour, :valid_from)
ON CONFLICT (target, upstream_model, valid_from) DO NOTHING;

-- name: known_target$
SELECT EXISTS (SELECT FROM provider WHERE name = :name UNION ALL SELECT FROM deployment WHERE name = :name);

-- name: charges_placed
-- After the place (position, event), with what costs are made of.
SELECT place.position, replace(charge.event_id::text, '-', '') AS event_id, charge.organization_id, model, target,
    upstream_model, started_at, finish, usage_source, input_tokens, cached_input_tokens, cache_write_tokens,
    output_tokens, reasoning_tokens, other_counts, circumstances, attempts, currency, amount_pico
FROM ledger_place AS place JOIN charge ON charge.transaction_id = place.transaction_id
WHERE place.position >= :position AND (place.position > :position OR charge.event_id > :event_id::uuid)
ORDER BY place.position, charge.event_id LIMIT :limit;

-- name: charges_of
-- The same of some events; `position` says nothing.
SELECT 0::bigint AS position, replace(charge.event_id::text, '-', '') AS event_id, charge.organization_id, model,
    target, upstream_model, started_at, finish, usage_source, input_tokens, cached_input_tokens, cache_write_tokens,
    output_tokens, reasoning_tokens, other_counts, circumstances, attempts, currency, amount_pico
FROM charge WHERE event_id = ANY (:event_ids::uuid[]);

-- name: void_attempts_unrated
SELECT replace(event_id::text, '-', '') AS event_id, number, organization_id, model, target, upstream_model, at, status,
    counts, unknown, organization.currency
FROM void_attempt JOIN organization ON organization.id = organization_id WHERE NOT rated ORDER BY event_id, number LIMIT :limit FOR UPDATE OF void_attempt;

-- name: void_attempts_of
SELECT replace(event_id::text, '-', '') AS event_id, number, organization_id, model, target, upstream_model, at, status,
    counts, unknown, organization.currency
FROM void_attempt JOIN organization ON organization.id = organization_id WHERE event_id = ANY (:event_ids::uuid[]);

-- name: mark_rated!
UPDATE void_attempt SET rated = true WHERE event_id = ANY (:event_ids::uuid[]);

-- name: unpriced
-- Events with an attempt that had no version, and that one holds for by now that was not looked at yet.
SELECT DISTINCT replace(cost.event_id::text, '-', '') AS event_id
FROM cost_version AS version
JOIN attempt_cost AS cost ON cost.state = 'unpriced' AND cost.target = version.target
    AND version.upstream_model IN ('', cost.upstream_model) AND cost.at >= version.valid_from
    AND cost.cost_version <> version.id
WHERE NOT EXISTS (
    SELECT FROM cost_version AS better
    WHERE better.target = version.target AND better.upstream_model IN (version.upstream_model, cost.upstream_model)
      AND better.valid_from <= cost.at AND better.id <> version.id
      AND (better.upstream_model <> '', better.valid_from) > (version.upstream_model <> '', version.valid_from)
)
LIMIT :limit;

-- name: insert_costs!
-- New rows, and their sums; a row that is there stays, and is not added again.
WITH inserted AS (
    INSERT INTO attempt_cost (
        event_id, number, served, at, organization_id, model, target, upstream_model, state, cost_version, currency,
        amount_pico, revenue_currency, revenue_pico
    )
    SELECT event_id, number, served, timestamptz 'epoch' + at_us * interval '1 microsecond', organization_id, model,
        target, upstream_model, state, version, currency, amount_pico, revenue_currency, revenue_pico
    FROM jsonb_to_recordset(:costs::jsonb) AS given (
        event_id uuid, number integer, served boolean, at_us bigint, organization_id text, model text, target text,
        upstream_model text, state text, version text, currency text, amount_pico numeric, revenue_currency text,
        revenue_pico numeric
    )
    ON CONFLICT DO NOTHING
    RETURNING *
)
INSERT INTO cost_hourly AS kept (
    hour, organization_id, model, target, state, currency, revenue_currency, attempts, served, amount_pico, revenue_pico
)
SELECT date_trunc('hour', at, 'UTC'), organization_id, model, target, state, currency, revenue_currency, count(*),
    count(*) FILTER (WHERE served), coalesce(sum(amount_pico), 0), sum(revenue_pico)
FROM inserted GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
ON CONFLICT (hour, organization_id, model, target, state, currency, revenue_currency) DO UPDATE SET
    attempts = kept.attempts + excluded.attempts, served = kept.served + excluded.served,
    amount_pico = kept.amount_pico + excluded.amount_pico, revenue_pico = kept.revenue_pico + excluded.revenue_pico;

-- name: change_costs!
-- Rows without a version that have one now; what is rated stays as it is.
WITH given AS (
    SELECT * FROM jsonb_to_recordset(:costs::jsonb) AS given (
        event_id uuid, number integer, state text, version text, currency text, amount_pico numeric
    )
), changed AS (
    UPDATE attempt_cost AS cost
    SET state = given.state, cost_version = given.version, currency = given.currency, amount_pico = given.amount_pico
    FROM given WHERE (cost.event_id, cost.number) = (given.event_id, given.number) AND cost.state = 'unpriced'
    RETURNING cost.*
), moved AS (
    SELECT date_trunc('hour', at, 'UTC') AS hour, organization_id, model, target, bucket.state, bucket.currency,
        revenue_currency, bucket.sign, served, coalesce(bucket.amount_pico, 0) AS amount_pico, revenue_pico
    FROM changed CROSS JOIN LATERAL (VALUES
        ('unpriced', '', -1, 0::numeric), (changed.state, changed.currency, 1, changed.amount_pico)
    ) AS bucket (state, currency, sign, amount_pico)
    WHERE changed.state <> 'unpriced'
)
INSERT INTO cost_hourly AS kept (
    hour, organization_id, model, target, state, currency, revenue_currency, attempts, served, amount_pico, revenue_pico
)
SELECT hour, organization_id, model, target, state, currency, revenue_currency, sum(sign),
    coalesce(sum(sign) FILTER (WHERE served), 0), sum(amount_pico), sum(sign * revenue_pico)
FROM moved GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
ON CONFLICT (hour, organization_id, model, target, state, currency, revenue_currency) DO UPDATE SET
    attempts = kept.attempts + excluded.attempts, served = kept.served + excluded.served,
    amount_pico = kept.amount_pico + excluded.amount_pico, revenue_pico = kept.revenue_pico + excluded.revenue_pico;

-- name: lock_machines!
SELECT pg_advisory_xact_lock(hashtextextended('arkwright.machines', 0));

-- name: meter_machines!
-- The time since the last look, cut at the hours, of every replica that runs; too long a gap is no running.
WITH looked AS (
    SELECT replica.id, deployment.name AS target, machine_meter.counted_until AS since,
        greatest(clock_timestamp(), machine_meter.counted_until) AS upto
    FROM replica JOIN deployment ON deployment.id = replica.deployment_id
    LEFT JOIN machine_meter ON machine_meter.replica_id = replica.id
    WHERE replica.state IN ('starting', 'ready')
), spans AS (
    SELECT target, since, upto FROM looked WHERE upto - since <= :gap_s * interval '1 second'
), metered AS (
    INSERT INTO machine_hour AS kept (hour, target, replica_us)
    SELECT hour, target, sum((extract(epoch FROM least(upto, hour + interval '1 hour') - greatest(since, hour))
                              * 1000000)::bigint)
    FROM spans CROSS JOIN LATERAL generate_series(date_trunc('hour', since, 'UTC'), upto, interval '1 hour') AS hour
    WHERE upto > greatest(since, hour)
    GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (hour, target) DO UPDATE SET replica_us = kept.replica_us + excluded.replica_us
), forgotten AS (
    DELETE FROM machine_meter WHERE NOT EXISTS (SELECT FROM looked WHERE looked.id = machine_meter.replica_id)
)
INSERT INTO machine_meter (replica_id, counted_until) SELECT id, upto FROM looked
ON CONFLICT (replica_id) DO UPDATE SET counted_until = excluded.counted_until;

-- name: costs_by_day
-- Of the period: what each state of attempts cost and earned.
SELECT date_trunc('day', hour, 'UTC') AS day, cost_hourly.organization_id AS organization, model, target AS provider,
    state, currency, revenue_currency, sum(attempts)::bigint AS attempts, sum(served)::bigint AS served,
    sum(amount_pico) AS amount_pico, sum(revenue_pico) AS revenue_pico
FROM cost_hourly WHERE hour >= :since AND hour < :until
GROUP BY 1, 2, 3, 4, 5, 6, 7
HAVING sum(attempts) <> 0;

-- name: machine_days
-- Of each deployment and day: how long its replicas ran, by the version of the hour.
SELECT date_trunc('day', hour, 'UTC') AS day, machine_hour.target AS provider, version.id AS version, version.currency,
    version.pico_per_hour, sum(replica_us)::bigint AS replica_us
FROM machine_hour LEFT JOIN LATERAL (
    SELECT id, currency, pico_per_hour FROM cost_version
    WHERE cost_version.target = machine_hour.target AND upstream_model = '' AND valid_from <= hour
    ORDER BY valid_from DESC LIMIT 1
) AS version ON true
WHERE hour >= :since AND hour < :until
GROUP BY 1, 2, 3, 4, 5;

-- name: machine_tokens
-- Whom each deployment worked for, day by day.
SELECT date_trunc('day', hour, 'UTC') AS day, organization_id AS organization, model, target AS provider,
    sum(input_tokens + cached_input_tokens + cache_write_tokens + output_tokens + reasoning_tokens + image_tokens
        + audio_tokens + video_tokens)::bigint AS tokens
FROM usage_hourly WHERE hour >= :since AND hour < :until AND target = ANY (:targets)
GROUP BY 1, 2, 3, 4;

-- name: revenue_sums
-- By currency: what cost rows earned, what the charges behind the follower's place earned, and the roll-up of all.
SELECT currency, sum(followed) AS followed, sum(late) AS late, sum(hourly) AS hourly FROM (
    SELECT revenue_currency AS currency, revenue_pico AS followed, 0 AS late, 0 AS hourly
    FROM cost_hourly WHERE hour >= :since AND hour < :until AND revenue_currency <> ''
    UNION ALL
    SELECT charge.currency, 0, charge.amount_pico, 0
    FROM charge JOIN (
        SELECT transaction_id, place.position = follower.position AS within, follower.event_id
        FROM ledger_place AS place, (
            SELECT coalesce(max(position), 0) AS position,
                   coalesce((array_agg(event_id))[1], '00000000-0000-0000-0000-000000000000') AS event_id
            FROM follower WHERE name = 'costs'
        ) AS follower WHERE place.position >= follower.position
        UNION ALL SELECT transaction_id, false, NULL FROM ledger_unplaced
    ) AS late USING (transaction_id)
    WHERE (NOT late.within OR charge.event_id > late.event_id)
      AND charge.started_at >= :since AND charge.started_at < :until
    UNION ALL
    SELECT currency, 0, 0, amount_pico FROM usage_hourly WHERE hour >= :since AND hour < :until
) AS told GROUP BY currency ORDER BY currency;
