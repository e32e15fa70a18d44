-- Providers, deployments, replicas, models.

-- name: provider_by_reference^
SELECT id, name, kind, base_url, sealed_key, options, created_at, desired
FROM provider WHERE id = :reference OR name = :reference;

-- name: provider_page
SELECT id, name, kind, base_url, sealed_key, options, created_at, desired
FROM provider WHERE id > :after ORDER BY id LIMIT :limit;

-- name: provider_insert!
INSERT INTO provider (id, name, kind, base_url, sealed_key, options, desired)
VALUES (:id, :name, :kind, :base_url, :sealed_key, :options, :desired);

-- name: provider_update!
UPDATE provider SET kind = :kind, base_url = :base_url, sealed_key = :sealed_key, options = :options,
    desired = :desired
WHERE id = :id;

-- name: provider_delete!
DELETE FROM provider WHERE id = :id;

-- name: deployment_by_reference^
SELECT id, name, engine, source, options, desired, created_at
FROM deployment WHERE id = :reference OR name = :reference;

-- name: deployment_page
SELECT id, name, engine, source, options, desired, created_at
FROM deployment WHERE id > :after ORDER BY id LIMIT :limit;

-- name: deployment_insert!
INSERT INTO deployment (id, name, engine, source, options, desired)
VALUES (:id, :name, :engine, :source, :options, :desired);

-- name: deployment_update!
UPDATE deployment SET engine = :engine, source = :source, options = :options, desired = :desired WHERE id = :id;

-- name: deployment_delete!
DELETE FROM deployment WHERE id = :id;

-- name: replicas_of_deployment
SELECT id, deployment_id, host, url, sealed_key, state, last_error, observed_at, capacity, desired
FROM replica WHERE deployment_id = :deployment_id ORDER BY id;

-- name: replicas_of_host
SELECT id, deployment_id, host, url, sealed_key, state, last_error, observed_at, capacity, desired
FROM replica WHERE host = :host ORDER BY id;

-- name: replica_insert!
INSERT INTO replica (id, deployment_id, host, url, sealed_key) VALUES (:id, :deployment_id, :host, :url, :sealed_key);

-- name: replica_observe!
-- Written only when something changed: every write makes each gateway look for a new snapshot.
UPDATE replica SET state = :state, last_error = :last_error, observed_at = now()
WHERE id = :id AND (state, last_error) IS DISTINCT FROM (:state, :last_error);

-- name: replica_move!
UPDATE replica SET url = :url, sealed_key = :sealed_key WHERE id = :id;

-- name: replica_size!
UPDATE replica SET capacity = :capacity WHERE id = :id AND capacity <> :capacity;

-- name: replica_wish!
UPDATE replica SET desired = :desired WHERE id = :id AND desired <> :desired;

-- name: replicas_wish!
UPDATE replica SET desired = :desired WHERE deployment_id = :deployment_id AND desired <> :desired;

-- name: replicas_doubt!
-- A new life of this host: nothing that was ready is, until it is seen to be.
UPDATE replica SET state = 'starting', last_error = '', observed_at = now() WHERE host = :host AND state <> 'starting';

-- name: model_by_reference^
SELECT model.id, model.name, model.kind, provider.name AS provider, deployment.name AS deployment,
       model.upstream_name, model.context_tokens, model.max_output_tokens, model.created_at,
       model.free_grant_tokens, model.free_grant_days
FROM model LEFT JOIN provider ON provider.id = model.provider_id
LEFT JOIN deployment ON deployment.id = model.deployment_id
WHERE model.id = :reference OR model.name = :reference;

-- name: model_page
SELECT model.id, model.name, model.kind, provider.name AS provider, deployment.name AS deployment,
       model.upstream_name, model.context_tokens, model.max_output_tokens, model.created_at,
       model.free_grant_tokens, model.free_grant_days
FROM model LEFT JOIN provider ON provider.id = model.provider_id
LEFT JOIN deployment ON deployment.id = model.deployment_id
WHERE model.id > :after ORDER BY model.id LIMIT :limit;

-- name: model_names
SELECT name FROM model;

-- name: model_insert!
INSERT INTO model (
    id, name, kind, provider_id, deployment_id, upstream_name, context_tokens, max_output_tokens, free_grant_tokens,
    free_grant_days
) VALUES (
    :id, :name, :kind, :provider_id, :deployment_id, :upstream_name, :context_tokens, :max_output_tokens,
    :free_grant_tokens, :free_grant_days
);

-- name: model_update!
UPDATE model SET kind = :kind, provider_id = :provider_id, deployment_id = :deployment_id,
    upstream_name = :upstream_name, context_tokens = :context_tokens, max_output_tokens = :max_output_tokens,
    free_grant_tokens = :free_grant_tokens, free_grant_days = :free_grant_days
WHERE id = :id;

-- name: model_delete!
DELETE FROM model WHERE id = :id;

-- name: models_served_by
-- Names of the models that a provider or a deployment serves, by its id.
SELECT name FROM model WHERE provider_id = :id OR deployment_id = :id ORDER BY name LIMIT 5;
