-- What each host may spend of prepaid balances. Balance − Σ over hosts (granted − posted) never falls below zero.

-- name: unleased
-- What of each prepaid balance no host leases. Read again after `lock_accounts`: only then does it hold.
SELECT account.organization_id, account.balance_pico - coalesce(leased.pico, 0) AS pico
FROM ledger_account AS account
JOIN organization ON organization.id = account.organization_id AND organization.currency = account.currency
LEFT JOIN LATERAL (
    SELECT sum(granted_pico - posted_pico) AS pico FROM lease WHERE lease.organization_id = account.organization_id
) AS leased ON true
WHERE account.kind = 'prepaid' AND organization.billing = 'prepaid' AND organization.lease_row < :rows
  AND account.balance_pico > coalesce(leased.pico, 0)
  AND (:organizations::text[] IS NULL OR account.organization_id = ANY (:organizations::text[]))
ORDER BY account.organization_id;

-- name: grant_leases!
INSERT INTO lease (host, organization_id, granted_pico, posted_pico, closed_pico)
SELECT :host, given.organization_id, given.pico, 0, 0
FROM jsonb_to_recordset(:grants::jsonb) AS given (organization_id text, pico numeric)
ORDER BY given.organization_id
ON CONFLICT (host, organization_id) DO UPDATE SET granted_pico = lease.granted_pico + excluded.granted_pico;

-- name: hosts$
SELECT count(DISTINCT host) FROM (SELECT host FROM lease UNION ALL SELECT :host) AS all_hosts;

-- name: ceilings
SELECT organization.lease_row, lease.granted_pico - lease.closed_pico AS pico
FROM lease JOIN organization ON organization.id = lease.organization_id
WHERE lease.host = :host AND organization.lease_row < :rows
  AND (:organization_id::text IS NULL OR lease.organization_id = :organization_id::text);

-- name: post_leases!
-- `granted` follows only where money was spent that was never leased here: after a restored backup, not in health.
INSERT INTO lease (host, organization_id, granted_pico, posted_pico, closed_pico)
SELECT :host, given.organization_id, given.pico, given.pico, 0
FROM jsonb_to_recordset(:amounts::jsonb) AS given (organization_id text, pico numeric)
ORDER BY given.organization_id
ON CONFLICT (host, organization_id) DO UPDATE SET
    posted_pico = lease.posted_pico + excluded.posted_pico,
    granted_pico = greatest(lease.granted_pico, lease.posted_pico + excluded.posted_pico);

-- name: post_writer!
INSERT INTO lease_posted (incarnation, organization_id, posted_pico)
SELECT :incarnation, given.organization_id, given.pico
FROM jsonb_to_recordset(:amounts::jsonb) AS given (organization_id text, pico numeric)
ORDER BY given.organization_id
ON CONFLICT (incarnation, organization_id) DO UPDATE SET
    posted_pico = lease_posted.posted_pico + excluded.posted_pico;

-- name: posted_by
SELECT organization_id FROM lease_posted WHERE incarnation = :incarnation;

-- name: close_posted!
-- What a closed writer posted leaves both sides of `ceiling = granted − closed`, as its slot leaves `spent`.
UPDATE lease SET closed_pico = lease.closed_pico + posted.posted_pico
FROM lease_posted AS posted
WHERE posted.incarnation = :incarnation AND lease.organization_id = posted.organization_id AND lease.host = :host;

-- name: forget_leases!
DELETE FROM lease WHERE host = :host;

-- name: unleased_of$
-- What of one prepaid balance no host leases; read it under `lock_accounts`.
SELECT greatest(0, coalesce(sum(account.balance_pico), 0) - coalesce(
    (SELECT sum(granted_pico - posted_pico) FROM lease WHERE organization_id = :organization_id), 0))
FROM ledger_account AS account
WHERE account.organization_id = :organization_id AND account.kind = 'prepaid' AND account.currency = :currency;

-- name: give_back!
UPDATE lease SET granted_pico = granted_pico - :pico WHERE host = :host AND organization_id = :organization_id;
