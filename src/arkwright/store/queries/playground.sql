-- The keys that people's playgrounds call with.

-- name: lock$
-- One opens a person's playground at a time; the lock ends with the transaction.
SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended('arkwright.playground ' || :person_id, 0))) AS locked;

-- name: key^
SELECT key_id, generation FROM playground_key
WHERE organization_id = :organization_id AND person_id = :person_id;

-- name: key_insert!
INSERT INTO playground_key (organization_id, person_id, key_id, generation)
VALUES (:organization_id, :person_id, :key_id, :generation);

-- name: key_renew!
UPDATE playground_key SET generation = :generation WHERE key_id = :key_id;

-- name: secret_renew!
UPDATE api_key SET secret_sha256 = :secret_sha256, hint = :hint, expires_at = :expires_at WHERE id = :key_id;

-- name: key_ids
SELECT key_id FROM playground_key WHERE organization_id = :organization_id;
