-- Endpoints. `organization` and `model` are names; `organizations` are ids.

-- name: endpoint_by_reference^
-- By id, or by name: that of the organization first, then the platform's.
SELECT endpoint.id, endpoint.organization_id, organization.name AS organization, endpoint.name, model.name AS model,
       model.kind, endpoint.organizations, endpoint.state, endpoint.members, endpoint.mirror, endpoint.fallbacks,
       endpoint.guard, endpoint.region, endpoint.hedged, endpoint.sticky, endpoint.created_at
FROM endpoint JOIN model ON model.id = endpoint.model_id
LEFT JOIN organization ON organization.id = endpoint.organization_id
WHERE endpoint.id = :reference
   OR endpoint.name = :reference AND endpoint.organization_id IS NOT DISTINCT FROM :organization_id::text
ORDER BY endpoint.id <> :reference LIMIT 1;

-- name: endpoint_page
-- Of one organization, of all that there are (`organization_id` and `platform` left out), or of the platform.
SELECT endpoint.id, endpoint.organization_id, organization.name AS organization, endpoint.name, model.name AS model,
       model.kind, endpoint.organizations, endpoint.state, endpoint.members, endpoint.mirror, endpoint.fallbacks,
       endpoint.guard, endpoint.region, endpoint.hedged, endpoint.sticky, endpoint.created_at
FROM endpoint JOIN model ON model.id = endpoint.model_id
LEFT JOIN organization ON organization.id = endpoint.organization_id
WHERE (:organization_id::text IS NULL OR endpoint.organization_id = :organization_id::text)
  AND endpoint.id > :after
ORDER BY endpoint.id LIMIT :limit;

-- name: endpoint_insert!
INSERT INTO endpoint (
    id, organization_id, name, model_id, organizations, state, members, mirror, fallbacks, guard, region, hedged, sticky
) VALUES (
    :id, :organization_id, :name, (SELECT id FROM model WHERE name = :model), :organizations, :state, :members, :mirror,
    :fallbacks, :guard, :region, :hedged, :sticky
);

-- name: endpoint_update!
UPDATE endpoint SET
    model_id = (SELECT id FROM model WHERE name = :model), organizations = :organizations, state = :state,
    members = :members, mirror = :mirror, fallbacks = :fallbacks, guard = :guard, region = :region, hedged = :hedged,
    sticky = :sticky
WHERE id = :id;

-- name: endpoint_delete!
DELETE FROM endpoint WHERE id = :id;

-- name: lock_endpoints!
-- Whoever changes fallbacks looks at all of them; two at once could make a circle that neither sees.
SELECT pg_advisory_xact_lock(hashtext('endpoint'));

-- name: endpoints_naming
-- Those that lead to a model or fall back to it (or to another endpoint), or send to a deployment or a provider.
SELECT endpoint.id FROM endpoint JOIN model ON model.id = endpoint.model_id
WHERE (:model::text IS NOT NULL AND model.name = :model::text)
   OR (:to::text IS NOT NULL
       AND endpoint.fallbacks @> jsonb_build_array(jsonb_build_object('to', :to::text)))
   OR (:place::text IS NOT NULL AND (
       endpoint.members @> jsonb_build_array(jsonb_build_object(:side::text, :place::text))
       OR endpoint.mirror @> jsonb_build_object(:side::text, :place::text)))
ORDER BY endpoint.id LIMIT 5;

-- name: endpoint_ids
SELECT id FROM endpoint WHERE organization_id IS NULL OR organization_id = :organization_id;

-- name: endpoint_usage
-- What was used through endpoints, from the charges themselves; with what rerating changed.
SELECT charge.endpoint_id, charge.model, charge.target, charge.currency, count(*) AS requests,
       sum(charge.input_tokens)::bigint AS input_tokens, sum(charge.cached_input_tokens)::bigint AS cached_input_tokens,
       sum(charge.cache_write_tokens)::bigint AS cache_write_tokens, sum(charge.output_tokens)::bigint AS output_tokens,
       sum(charge.reasoning_tokens)::bigint AS reasoning_tokens,
       sum(charge.amount_pico + coalesce(changed.delta_pico, 0)) AS amount_pico
FROM charge
LEFT JOIN LATERAL (
    SELECT sum(delta_pico) AS delta_pico FROM charge_adjustment WHERE charge_adjustment.event_id = charge.event_id
) AS changed ON true
WHERE charge.endpoint_id <> '' AND (:endpoint_id::text IS NULL OR charge.endpoint_id = :endpoint_id::text)
  AND charge.started_at >= coalesce(:since::timestamptz, '-infinity')
  AND charge.started_at < coalesce(:until::timestamptz, 'infinity')
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4 LIMIT :limit;
