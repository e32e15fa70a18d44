-- Discounts of accounts: rows are added and never changed. The one of a moment is the one with the latest start up to it.

-- name: discount_valid_at^
SELECT discount.id, organization_id, organization.name AS organization, model, basis_points, valid_from,
       discount.created_at
FROM discount JOIN organization ON organization.id = discount.organization_id
WHERE organization_id = :organization_id AND model = :model AND valid_from <= :at ORDER BY valid_from DESC LIMIT 1;

-- name: discount_page
SELECT discount.id, organization_id, organization.name AS organization, model, basis_points, valid_from,
       discount.created_at
FROM discount JOIN organization ON organization.id = discount.organization_id
WHERE discount.id > :after AND (:organization_id::text IS NULL OR organization_id = :organization_id)
ORDER BY discount.id LIMIT :limit;

-- name: discounts_in_force
-- For each account and model the one of that moment, unless it has ended, and those that are still to come.
SELECT discount.id, organization_id, organization.name AS organization, model, basis_points, valid_from,
       discount.created_at
FROM discount JOIN organization ON organization.id = discount.organization_id
WHERE NOT EXISTS (
        SELECT FROM discount AS later
        WHERE later.organization_id = discount.organization_id AND later.model = discount.model
          AND later.valid_from > discount.valid_from AND later.valid_from <= :at
    )
  AND (basis_points IS NOT NULL OR valid_from > :at)
  AND (:organization_id::text IS NULL OR organization_id = :organization_id)
ORDER BY organization_id, model, valid_from;

-- name: discount_insert!
INSERT INTO discount (id, organization_id, model, basis_points, valid_from)
VALUES (:id, :organization_id, :model, :basis_points, :valid_from)
ON CONFLICT (organization_id, model, valid_from) DO NOTHING;
