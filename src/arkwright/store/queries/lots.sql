-- Lots, and what each host may draw of them. Left − Σ over hosts (granted − posted) never falls below zero.

-- name: rows_lock$
-- One lot is made at a time; the lock ends with the transaction.
SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended('arkwright.lot', 0))) AS locked;

-- name: next_row$
SELECT coalesce(max(lease_row), -1) + 1 FROM lot;

-- name: insert!
INSERT INTO lot (
    id, lease_row, organization_id, reference, kind, items, models, modes, size, priority, valid_from, expires_at, declared, memo
) VALUES (
    :id, (SELECT coalesce(max(lease_row), -1) + 1 FROM lot), :organization_id, :reference, :kind, :items, :models, :modes, :size, :priority, :valid_from, :expires_at,
    :declared, :memo
);

-- name: by_reference^
-- Of one organization: by id or by the operator's own reference.
SELECT id, lease_row, organization_id, reference, kind, items, models, modes, size, used, priority, valid_from,
       expires_at, revoked_at, declared, memo, created_at
FROM lot WHERE organization_id = :organization_id AND (id = :reference OR reference = :reference)
ORDER BY id <> :reference LIMIT 1;

-- name: owner$
SELECT organization_id FROM lot WHERE id = :id;

-- name: page
SELECT lot.id, lot.lease_row, lot.organization_id, lot.reference, lot.kind, lot.items, lot.models, lot.modes, lot.size,
       lot.used, lot.priority, lot.valid_from, lot.expires_at, lot.revoked_at, lot.declared, lot.memo, lot.created_at
FROM lot
WHERE (:organization_id::text IS NULL OR lot.organization_id = :organization_id::text) AND lot.id > :after
  AND (:ended OR (lot.revoked_at IS NULL AND (lot.expires_at IS NULL OR lot.expires_at > now()) AND lot.used < lot.size))
ORDER BY lot.id LIMIT :limit;

-- name: declared
SELECT id, lease_row, organization_id, reference, kind, items, models, modes, size, used, priority, valid_from,
       expires_at, revoked_at, declared, memo, created_at
FROM lot WHERE organization_id = :organization_id AND declared AND revoked_at IS NULL
  AND (expires_at IS NULL OR expires_at > now())
ORDER BY id;

-- name: revoke!
UPDATE lot SET revoked_at = now() WHERE id = :id AND revoked_at IS NULL;

-- name: usable
-- For a snapshot: those of now and those to come. What is used up is left out, since nothing is drawn of it.
SELECT id, organization_id, kind, lease_row, items, models, modes, valid_from, expires_at, priority
FROM lot
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :at) AND used < size AND lease_row < :rows
ORDER BY id;

-- name: free_grants
SELECT name, free_grant_tokens, free_grant_days FROM model WHERE free_grant_tokens IS NOT NULL ORDER BY name;

-- name: unleased
-- What of each lot no host leases. Read again after `lock`: only then does it hold.
SELECT lot.id AS lot_id, lot.size - lot.used - coalesce(leased.units, 0) AS units
FROM lot LEFT JOIN LATERAL (
    SELECT sum(granted - posted) AS units FROM lot_lease WHERE lot_lease.lot_id = lot.id
) AS leased ON true
WHERE lot.revoked_at IS NULL AND (lot.expires_at IS NULL OR lot.expires_at > now()) AND lot.lease_row < :rows
  AND lot.used < lot.size AND lot.size - lot.used > coalesce(leased.units, 0)
  AND (:organizations::text[] IS NULL OR lot.organization_id = ANY (:organizations::text[]))
  AND (:lots::text[] IS NULL OR lot.id = ANY (:lots::text[]))
ORDER BY lot.id;

-- name: lock!
-- Always in this order, so that two transactions never wait for each other.
SELECT id FROM lot WHERE id = ANY (:lots) ORDER BY id FOR NO KEY UPDATE;

-- name: grant_leases!
INSERT INTO lot_lease (host, lot_id, granted, posted, closed)
SELECT :host, given.lot_id, given.units, 0, 0
FROM jsonb_to_recordset(:units::jsonb) AS given (lot_id text, units numeric)
ORDER BY given.lot_id
ON CONFLICT (host, lot_id) DO UPDATE SET granted = lot_lease.granted + excluded.granted;

-- name: hosts$
SELECT count(DISTINCT host) FROM (
    SELECT host FROM lot_lease UNION ALL SELECT host FROM lease UNION ALL SELECT :host
) AS all_hosts;

-- name: ceilings
SELECT lot.lease_row, lot_lease.granted - lot_lease.closed AS units
FROM lot_lease JOIN lot ON lot.id = lot_lease.lot_id
WHERE lot_lease.host = :host AND lot.lease_row < :rows
  AND (:organization_id::text IS NULL OR lot.organization_id = :organization_id::text);

-- name: draw!
UPDATE lot SET used = lot.used + given.units
FROM jsonb_to_recordset(:units::jsonb) AS given (lot_id text, units numeric)
WHERE lot.id = given.lot_id;

-- name: post_leases!
-- `granted` follows only where units were drawn that were never leased here: after a restored backup, not in health.
INSERT INTO lot_lease (host, lot_id, granted, posted, closed)
SELECT :host, given.lot_id, given.units, given.units, 0
FROM jsonb_to_recordset(:units::jsonb) AS given (lot_id text, units numeric)
ORDER BY given.lot_id
ON CONFLICT (host, lot_id) DO UPDATE SET
    posted = lot_lease.posted + excluded.posted,
    granted = greatest(lot_lease.granted, lot_lease.posted + excluded.posted);

-- name: post_writer!
INSERT INTO lot_posted (incarnation, lot_id, posted)
SELECT :incarnation, given.lot_id, given.units
FROM jsonb_to_recordset(:units::jsonb) AS given (lot_id text, units numeric)
ORDER BY given.lot_id
ON CONFLICT (incarnation, lot_id) DO UPDATE SET posted = lot_posted.posted + excluded.posted;

-- name: posted_by
SELECT lot_id FROM lot_posted WHERE incarnation = :incarnation;

-- name: close_posted!
UPDATE lot_lease SET closed = lot_lease.closed + posted.posted
FROM lot_posted AS posted
WHERE posted.incarnation = :incarnation AND lot_lease.lot_id = posted.lot_id AND lot_lease.host = :host;

-- name: forget_leases!
DELETE FROM lot_lease WHERE host = :host;
