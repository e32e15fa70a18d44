-- Keys as a page shows them, and what happens to their secrets. Every list is read along an index, page by page.

-- name: newest
SELECT * FROM key_shown
WHERE key_shown.organization_id = :organization_id AND key_shown.id < :before ORDER BY key_shown.id DESC LIMIT :limit;

-- name: newest_of_person
SELECT * FROM key_shown
WHERE key_shown.organization_id = :organization_id AND key_shown.person_id = :person_id AND key_shown.id < :before
ORDER BY key_shown.id DESC LIMIT :limit;

-- name: named
-- By the beginning of their names, in the order of names: behind the last one that was shown, or the prefix itself, and
-- before :beyond, which is behind everything that begins so. One bound from below alone, so that the index begins there.
SELECT * FROM key_shown
WHERE key_shown.organization_id = :organization_id
  AND lower(key_shown.name) COLLATE "C" < lower(:prefix) || :beyond
  AND (lower(key_shown.name) COLLATE "C", key_shown.id) > (lower(:after_name), :after_id)
ORDER BY lower(key_shown.name) COLLATE "C", key_shown.id LIMIT :limit;

-- name: named_of_person
SELECT * FROM key_shown
WHERE key_shown.organization_id = :organization_id AND key_shown.person_id = :person_id
  AND lower(key_shown.name) COLLATE "C" < lower(:prefix) || :beyond
  AND (lower(key_shown.name) COLLATE "C", key_shown.id) > (lower(:after_name), :after_id)
ORDER BY lower(key_shown.name) COLLATE "C", key_shown.id LIMIT :limit;

-- name: hinted
-- By the last signs of their secrets, but for those that `named` has.
SELECT * FROM key_shown
WHERE key_shown.organization_id = :organization_id
  AND (:person_id::text IS NULL OR key_shown.person_id = :person_id::text)
  AND NOT starts_with(lower(key_shown.name), lower(:prefix))
  AND key_shown.hint COLLATE "C" < :prefix || :beyond
  AND (key_shown.hint COLLATE "C", key_shown.id) > (:after_hint, :after_id)
ORDER BY key_shown.hint COLLATE "C", key_shown.id LIMIT :limit;

-- name: uses
-- Of some keys: when each was last used, and what it has spent since the month began, with what was added to it since.
SELECT key.id, key_use.last_used_at, coalesce(key_use.model, '') AS last_model, coalesce(spent.requests, 0)::bigint AS requests,
       coalesce(spent.amount_pico, 0) AS spent_pico, usage_limit.budget_monthly_pico
FROM unnest(:ids::text[]) AS key (id)
LEFT JOIN key_use ON key_use.key_id = key.id
LEFT JOIN LATERAL (
    SELECT sum(requests) AS requests, sum(amount_pico) AS amount_pico FROM usage_hourly
    WHERE usage_hourly.key_id = key.id AND hour >= :month
) AS spent ON true
LEFT JOIN usage_limit ON usage_limit.organization_id = :organization_id AND usage_limit.scope = 'key'
    AND usage_limit.subject = key.id;

-- name: rotate!
-- The secret that it has becomes a former one, and another its own.
WITH kept AS (
    INSERT INTO former_secret (secret_sha256, key_id, hint, expires_at)
    SELECT secret_sha256, id, hint, :until FROM api_key WHERE id = :id
    RETURNING key_id
)
UPDATE api_key SET secret_sha256 = :secret_sha256, hint = :hint FROM kept WHERE api_key.id = kept.key_id;

-- name: end_former!
UPDATE former_secret SET expires_at = now() WHERE key_id = :id AND expires_at > now();

-- name: former
-- What it was called with before, the newest first.
SELECT hint, replaced_at, expires_at FROM former_secret WHERE key_id = :id ORDER BY expires_at DESC LIMIT :limit;

-- name: was_secret$
SELECT EXISTS (SELECT FROM former_secret WHERE secret_sha256 = :secret_sha256);

-- name: note_uses!
-- Of what was placed from one position to another: the newest use of each key. Locked in the order of the keys.
INSERT INTO key_use AS kept (key_id, last_used_at, model)
SELECT DISTINCT ON (key_id) key_id, started_at, model
FROM ledger_place AS place JOIN charge USING (transaction_id)
WHERE place.position >= :position AND place.position <= :upto
ORDER BY key_id, started_at DESC
ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at, model = excluded.model
WHERE kept.last_used_at < excluded.last_used_at;
