-- Charges one by one, newest first, keyed by the last one of the page before.

-- name: organization_page
-- Of one organization: its index has them by the moment they started.
SELECT replace(charge.event_id::text, '-', '') AS event_id, organization.name AS organization,
       charge.organization_id, charge.key_id, api_key.name AS key_name, charge.model, charge.target, charge.started_at,
       charge.input_tokens, charge.cached_input_tokens, charge.cache_write_tokens, charge.output_tokens,
       charge.reasoning_tokens, charge.other_counts, charge.currency, charge.amount_pico, charge.finish
FROM charge
LEFT JOIN organization ON organization.id = charge.organization_id
LEFT JOIN api_key ON api_key.id = charge.key_id
WHERE charge.organization_id = :organization_id
  AND (:after::uuid IS NULL OR (charge.started_at, charge.event_id) < (
      SELECT last.started_at, last.event_id FROM charge AS last WHERE last.event_id = :after::uuid))
  AND (:model::text IS NULL OR charge.model = :model) AND (:key_id::text IS NULL OR charge.key_id = :key_id)
  AND charge.started_at >= coalesce(:since::timestamptz, '-infinity')
  AND charge.started_at < coalesce(:until::timestamptz, 'infinity')
ORDER BY charge.started_at DESC, charge.event_id DESC LIMIT :limit;

-- name: page
-- Of all: event ids are ordered by time, so the primary key serves; `first_id` and `last_id` bound the period loosely.
SELECT replace(charge.event_id::text, '-', '') AS event_id, organization.name AS organization,
       charge.organization_id, charge.key_id, api_key.name AS key_name, charge.model, charge.target, charge.started_at,
       charge.input_tokens, charge.cached_input_tokens, charge.cache_write_tokens, charge.output_tokens,
       charge.reasoning_tokens, charge.other_counts, charge.currency, charge.amount_pico, charge.finish
FROM charge
LEFT JOIN organization ON organization.id = charge.organization_id
LEFT JOIN api_key ON api_key.id = charge.key_id
WHERE (:after::uuid IS NULL OR charge.event_id < :after::uuid)
  AND (:first_id::uuid IS NULL OR charge.event_id >= :first_id::uuid)
  AND (:last_id::uuid IS NULL OR charge.event_id <= :last_id::uuid)
  AND (:model::text IS NULL OR charge.model = :model) AND (:key_id::text IS NULL OR charge.key_id = :key_id)
  AND charge.started_at >= coalesce(:since::timestamptz, '-infinity')
  AND charge.started_at < coalesce(:until::timestamptz, 'infinity')
ORDER BY charge.event_id DESC LIMIT :limit;

-- name: charge^
SELECT replace(charge.event_id::text, '-', '') AS event_id, organization.name AS organization,
       charge.organization_id, charge.organization_class, project.name AS project, charge.key_id,
       api_key.name AS key_name, charge.endpoint, charge.model, charge.target, charge.upstream_model,
       charge.upstream_request_id, charge.streamed, charge.status, charge.finish, charge.started_at, charge.ended_at,
       charge.ttft_us, charge.queue_us, charge.connect_us,
       charge.project_id, charge.input_tokens, charge.cached_input_tokens, charge.cache_write_tokens,
       charge.output_tokens, charge.reasoning_tokens, charge.other_counts, charge.usage_source, charge.currency,
       charge.price_version, charge.lines, charge.amount_pico, charge.granted_pico, charge.uncollected_pico,
       charge.circumstances, charge.draws, charge.attempts, charge.endpoint_id
FROM charge
LEFT JOIN organization ON organization.id = charge.organization_id
LEFT JOIN project ON project.id = charge.project_id
LEFT JOIN api_key ON api_key.id = charge.key_id
WHERE charge.event_id = :event_id::uuid;

-- name: adjustments
SELECT run_id, price_version, lines, delta_pico FROM charge_adjustment WHERE event_id = :event_id::uuid ORDER BY id;

-- name: attempt_costs
-- As far as the costs' follower has come.
SELECT number, state, currency, amount_pico FROM attempt_cost WHERE event_id = :event_id::uuid;
