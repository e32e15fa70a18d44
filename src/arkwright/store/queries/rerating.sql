-- Charges and what rerating made of them.

-- name: price_by_id^
SELECT id, model, currency, rules, windows, valid_from FROM price_version WHERE id = :id;

-- name: rerate_page
-- An organization's charges in the order of their moments, each with what it comes to by now.
SELECT
    replace(charge.event_id::text, '-', '') AS event_id, charge.organization_id, prepaid, model, currency,
    charge.price_version, (extract(epoch FROM charge.started_at) * 1000000)::bigint AS started_us,
    input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, other_counts,
    circumstances, charge.lines, amount_pico, uncollected_pico, granted_pico,
    coalesce(latest.price_version, charge.price_version) AS version_now,
    coalesce(latest.delta_pico, 0) AS delta_pico, coalesce(latest.granted_delta_pico, 0) AS granted_delta_pico,
    coalesce(latest.uncollected_delta_pico, 0) AS uncollected_delta_pico
FROM charge
LEFT JOIN LATERAL (
    SELECT (array_agg(adjustment.price_version ORDER BY adjustment.id DESC))[1] AS price_version,
           sum(adjustment.delta_pico) AS delta_pico, sum(adjustment.granted_delta_pico) AS granted_delta_pico,
           sum(adjustment.uncollected_delta_pico) AS uncollected_delta_pico
    FROM charge_adjustment AS adjustment WHERE adjustment.event_id = charge.event_id
) AS latest ON true
WHERE charge.organization_id = :organization_id AND charge.started_at >= :since AND charge.started_at < :until
  AND (:model::text IS NULL OR model = :model)
  AND (charge.started_at, charge.event_id) > (timestamptz 'epoch' + :after_us * interval '1 microsecond', :after_event::uuid)
ORDER BY charge.started_at, charge.event_id LIMIT :limit;

-- name: insert_run!
INSERT INTO rerate_run (id, organization_id, model, asked, since, until, correction, actor)
VALUES (:id, :organization_id, :model, :asked, :since, :until, :correction, :actor);

-- name: insert_adjustments$
-- With the hour's roll-up, in one statement: they are read side by side.
WITH given AS (
    SELECT * FROM jsonb_to_recordset(:adjustments::jsonb) AS given_adjustment (
        event_id uuid, price_version text, lines jsonb, delta_pico numeric, granted_delta_pico numeric,
        uncollected_delta_pico numeric, transaction_id bigint
    )
), inserted AS (
    INSERT INTO charge_adjustment (
        event_id, organization_id, started_at, run_id, price_version, lines, delta_pico, granted_delta_pico,
        uncollected_delta_pico, transaction_id
    )
    SELECT given.event_id, charge.organization_id, charge.started_at, :run_id, given.price_version, given.lines,
           given.delta_pico, given.granted_delta_pico, given.uncollected_delta_pico, given.transaction_id
    FROM given JOIN charge ON charge.event_id = given.event_id
    RETURNING event_id, delta_pico
), summed AS (
    SELECT date_trunc('hour', started_at, 'UTC') AS hour, organization_id, organization_class, project_id, key_id,
           model, target, currency, usage_source, industry, endpoint, sum(inserted.delta_pico) AS delta_pico
    FROM inserted JOIN charge USING (event_id)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
), rolled_up AS (
    UPDATE usage_hourly AS kept SET adjusted_pico = kept.adjusted_pico + summed.delta_pico
    FROM summed
    WHERE (kept.hour, kept.organization_id, kept.organization_class, kept.project_id, kept.key_id, kept.model, kept.target,
           kept.currency, kept.usage_source, kept.industry, kept.endpoint)
        = (summed.hour, summed.organization_id, summed.organization_class, summed.project_id, summed.key_id, summed.model,
           summed.target, summed.currency, summed.usage_source, summed.industry, summed.endpoint)
)
SELECT count(*) FROM inserted;

-- name: adjustments_page
-- Each with the charge as it was first made: an audit rates it again.
SELECT adjustment.id, adjustment.price_version AS version_now, adjustment.lines AS lines_now,
       replace(charge.event_id::text, '-', '') AS event_id, charge.organization_id, prepaid, model, currency,
       charge.price_version, (extract(epoch FROM charge.started_at) * 1000000)::bigint AS started_us,
       input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, other_counts,
       circumstances, charge.lines, amount_pico, uncollected_pico, granted_pico
FROM charge_adjustment AS adjustment JOIN charge USING (event_id)
WHERE adjustment.id > :after ORDER BY adjustment.id LIMIT :limit;
