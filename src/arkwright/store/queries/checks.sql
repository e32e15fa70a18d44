-- What the last checks of the books found.

-- name: save_check$
-- The newest hundred are kept.
WITH old AS (
    DELETE FROM book_check WHERE id <= (SELECT max(id) FROM book_check) - 99
)
INSERT INTO book_check (ok, findings, omitted) VALUES (:ok, :findings, :omitted) RETURNING checked_at;

-- name: last_check^
SELECT checked_at, ok, findings, omitted FROM book_check ORDER BY id DESC LIMIT 1;

-- name: due$
-- Whether the last one is older than this.
SELECT NOT EXISTS (SELECT FROM book_check WHERE checked_at > now() - :hours * interval '1 hour');
