-- Months that were closed, and what may still change.

-- name: lock_books$
-- One closing or rerating of an organization at a time; the lock ends with the transaction.
SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended('arkwright.books.' || :organization_id, 0))) AS locked;

-- name: latest_close^
SELECT period, until, watermark FROM period_close
WHERE organization_id = :organization_id ORDER BY until DESC LIMIT 1;

-- name: lock_postings!
-- Waits for every transaction that has posted and not ended, and holds off others until ours ends: it must be short.
LOCK TABLE ledger_transaction IN SHARE MODE;

-- name: watermark$
SELECT coalesce(max(id), 0) FROM ledger_transaction;

-- name: insert_close!
INSERT INTO period_close (organization_id, period, until, watermark, actor)
VALUES (:organization_id, :period, :until, :watermark, :actor);

-- name: any_open$
SELECT EXISTS (
    SELECT FROM organization
    WHERE NOT EXISTS (SELECT FROM period_close WHERE organization_id = organization.id AND until >= :until)
);
