-- The feed of charges: places in the ledger's order, and what stands at them.

-- name: any_unplaced$
SELECT EXISTS (SELECT FROM ledger_unplaced);

-- name: take_turns!
-- One gives places at a time, and until its transaction ends; so places are seen in their order.
SELECT pg_advisory_xact_lock(hashtextextended('arkwright.feed', 0));

-- name: give_places!
WITH taken AS (
    DELETE FROM ledger_unplaced
    WHERE transaction_id IN (SELECT transaction_id FROM ledger_unplaced ORDER BY transaction_id LIMIT :limit)
    RETURNING transaction_id
), last AS (
    SELECT coalesce(max(position), 0) AS position, coalesce(max(placed_at), '-infinity') AS placed_at
    FROM (SELECT position, placed_at FROM ledger_place ORDER BY position DESC LIMIT 1) AS place
)
INSERT INTO ledger_place (position, transaction_id, organization_id, placed_at)
SELECT last.position + row_number() OVER (ORDER BY transaction.id), transaction.id, transaction.organization_id,
       greatest(last.placed_at, statement_timestamp(), (SELECT max(day) + 1 FROM ledger_day)::timestamp AT TIME ZONE 'UTC')
FROM taken JOIN ledger_transaction AS transaction ON transaction.id = taken.transaction_id CROSS JOIN last;

-- name: close_yesterday!
-- Behind the lock, so that nobody still gives places of that day.
INSERT INTO ledger_day (day, last_position)
SELECT yesterday.day, coalesce(
    (SELECT position FROM ledger_place WHERE placed_at < (yesterday.day + 1)::timestamp AT TIME ZONE 'UTC'
     ORDER BY placed_at DESC, position DESC LIMIT 1), 0)
FROM (SELECT (statement_timestamp() AT TIME ZONE 'UTC')::date - 1 AS day) AS yesterday
WHERE yesterday.day > coalesce((SELECT max(day) FROM ledger_day), '-infinity');

-- name: last_closed_day$
SELECT max(day) FROM ledger_day;

-- name: days_placed
-- Each UTC day with places above one position and up to another, and the last position in it.
WITH RECURSIVE found AS (
    (SELECT position, placed_at FROM ledger_place WHERE position > :above AND position <= :upto ORDER BY position LIMIT 1)
    UNION ALL
    SELECT next.position, next.placed_at
    FROM found CROSS JOIN LATERAL (
        SELECT position, placed_at FROM ledger_place
        WHERE placed_at >= ((found.placed_at AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC'
          AND position <= :upto
        ORDER BY placed_at, position LIMIT 1
    ) AS next
)
SELECT (found.placed_at AT TIME ZONE 'UTC')::date AS day, last.position
FROM found CROSS JOIN LATERAL (
    SELECT position FROM ledger_place
    WHERE placed_at < ((found.placed_at AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC'
    ORDER BY placed_at DESC, position DESC LIMIT 1
) AS last
ORDER BY 1 LIMIT :limit;

-- name: sums_placed
SELECT charge.currency, count(*) AS rows, sum(charge.amount_pico) AS amount_pico
FROM ledger_place AS place JOIN charge ON charge.transaction_id = place.transaction_id
WHERE place.position > :above AND place.position <= :upto
  AND (:organization_id::text IS NULL OR place.organization_id = :organization_id::text)
GROUP BY charge.currency ORDER BY charge.currency;

-- name: last_position$
SELECT coalesce(max(position), 0) FROM ledger_place;

-- name: position_before$
-- The last place that was given before a moment.
SELECT coalesce(
    (SELECT position FROM ledger_place WHERE placed_at < :moment ORDER BY placed_at DESC, position DESC LIMIT 1), 0
);

-- name: charges_placed
-- After the place (position, event), up to and with the position `upto`.
SELECT
    place.position, place.placed_at, replace(event_id::text, '-', '') AS event_id,
    charge.organization_id, organization.name AS organization_name, organization_class, charge.industry, prepaid,
    project_id, coalesce(project.name, '') AS project_name, key_id, endpoint, model, target, upstream_model,
    upstream_request_id, streamed, status, finish, started_at, ended_at, ttft_us, input_tokens, cached_input_tokens,
    cache_write_tokens, output_tokens, reasoning_tokens, usage_source, charge.currency, price_version, lines,
    amount_pico, uncollected_pico, granted_pico, other_counts, circumstances, draws
FROM ledger_place AS place
JOIN charge ON charge.transaction_id = place.transaction_id
JOIN organization ON organization.id = charge.organization_id
LEFT JOIN project ON project.id = charge.project_id
WHERE place.position >= :position AND place.position <= :upto
  AND (place.position > :position OR charge.event_id > :event_id::uuid)
  AND (:organization_id::text IS NULL OR place.organization_id = :organization_id::text)
ORDER BY place.position, charge.event_id LIMIT :limit;

-- name: adjustments_placed
-- What rerating added to charges, at places up to and with `upto`, after the place (position, event).
SELECT
    place.position, place.placed_at, replace(adjustment.event_id::text, '-', '') AS event_id, charge.started_at,
    charge.ended_at, adjustment.organization_id, organization.name AS organization_name, charge.currency, charge.model,
    charge.project_id, coalesce(project.name, '') AS project_name, adjustment.price_version, adjustment.delta_pico,
    run.correction
FROM ledger_place AS place
JOIN charge_adjustment AS adjustment ON adjustment.transaction_id = place.transaction_id
JOIN rerate_run AS run ON run.id = adjustment.run_id
JOIN charge ON charge.event_id = adjustment.event_id
JOIN organization ON organization.id = adjustment.organization_id
LEFT JOIN project ON project.id = charge.project_id
WHERE place.position >= :position AND place.position <= :upto
  AND (place.position > :position OR adjustment.event_id > :event_id::uuid)
  AND (:organization_id::text IS NULL OR place.organization_id = :organization_id::text)
ORDER BY place.position, adjustment.event_id LIMIT :limit;

-- name: services_placed
SELECT
    place.position, place.placed_at, service.performed_at, service.organization_id,
    organization.name AS organization_name, service.currency, service.id, service.layer, service.item, service.memo,
    service.quantity_micro, service.unit_price_pico, service.amount_pico
FROM ledger_place AS place
JOIN service_charge AS service ON service.transaction_id = place.transaction_id
JOIN organization ON organization.id = service.organization_id
WHERE place.position > :position AND place.position <= :upto
  AND (:organization_id::text IS NULL OR place.organization_id = :organization_id::text)
ORDER BY place.position LIMIT :limit;

-- name: issuer$
SELECT legal_name FROM invoice_issuer;
