-- The price book: immutable versions. The version of a moment is the one with the latest start up to it.

-- name: price_valid_at^
SELECT id, model, currency, rules, windows, valid_from, created_at
FROM price_version WHERE model = :model AND currency = :currency AND valid_from <= :at
ORDER BY valid_from DESC LIMIT 1;

-- name: price_by_id^
SELECT id, model, currency, rules, windows, valid_from, created_at FROM price_version WHERE id = :id;

-- name: price_page
SELECT id, model, currency, rules, windows, valid_from, created_at
FROM price_version
WHERE id > :after AND (:model::text IS NULL OR model = :model) AND (:currency::text IS NULL OR currency = :currency)
ORDER BY id LIMIT :limit;

-- name: prices_in_force
-- Each model's version of that moment in each currency, and those that are still to come.
SELECT id, model, currency, rules, windows, valid_from, created_at
FROM price_version AS version
WHERE NOT EXISTS (
    SELECT FROM price_version AS later
    WHERE later.model = version.model AND later.currency = version.currency
      AND later.valid_from > version.valid_from AND later.valid_from <= :at
)
ORDER BY model, currency, valid_from;

-- name: price_insert!
INSERT INTO price_version (id, model, currency, rules, windows, valid_from)
VALUES (:id, :model, :currency, :rules, :windows, :valid_from)
ON CONFLICT (model, currency, valid_from) DO NOTHING;

-- name: price_lock$
-- One change of a model's price at a time; the lock ends with the transaction.
SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended('arkwright.price ' || :name, 0))) AS locked;

-- name: price_after^
-- The next version that is to come.
SELECT id, model, currency, rules, windows, valid_from, created_at
FROM price_version WHERE model = :model AND currency = :currency AND valid_from > :at ORDER BY valid_from LIMIT 1;

-- name: price_newest
-- Of one model's price, the newest first: those that begin before a moment.
SELECT id, model, currency, rules, windows, valid_from, created_at
FROM price_version
WHERE model = :model AND currency = :currency AND valid_from < coalesce(:before::timestamptz, 'infinity')
ORDER BY valid_from DESC LIMIT :limit;

-- name: draft_insert!
INSERT INTO price_draft (id, model, currency, rules, windows, origin, actor)
VALUES (:id, :model, :currency, :rules, :windows, :origin, :actor);

-- name: draft^
SELECT id, model, currency, rules, windows, origin, actor, created_at, price_version, activated_at
FROM price_draft WHERE id = :id;

-- name: draft_locked^
SELECT id, model, currency, rules, windows, origin, actor, created_at, price_version, activated_at
FROM price_draft WHERE id = :id FOR UPDATE;

-- name: draft_page
SELECT id, model, currency, rules, windows, origin, actor, created_at, price_version, activated_at
FROM price_draft
WHERE id > :after AND (:model::text IS NULL OR model = :model) AND (:activated OR price_version IS NULL)
ORDER BY id LIMIT :limit;

-- name: draft_activated!
UPDATE price_draft SET price_version = :price_version, activated_at = now() WHERE id = :id AND price_version IS NULL;

-- name: draft_delete!
DELETE FROM price_draft WHERE id = :id AND price_version IS NULL;
