-- Signed roots, the parts they are made of, and what a root is made from.

-- name: take_turns!
SELECT pg_advisory_xact_lock(hashtextextended('arkwright.proof', 0));

-- name: last_root^
SELECT number, day, over, upto_position, hash FROM proof_root ORDER BY number DESC LIMIT 1;

-- name: first_day$
SELECT (placed_at AT TIME ZONE 'UTC')::date FROM ledger_place WHERE position = 1;

-- name: position_at_end$
-- The last place that was given before the end of a UTC day.
SELECT coalesce((
    SELECT position FROM ledger_place WHERE placed_at < (:day::date + 1)::timestamp AT TIME ZONE 'UTC'
    ORDER BY placed_at DESC, position DESC LIMIT 1
), 0);

-- name: organizations_of
-- Those there were on a day.
SELECT id FROM organization WHERE created_at < (:day::date + 1)::timestamp AT TIME ZONE 'UTC' ORDER BY id;

-- name: journal_heads
-- Journals that have grown since the last root was sealed, as far as they are settled.
SELECT incarnation, segment, settled_offset, settled_sequence, encode(head_hash, 'hex') AS head
FROM journal_segment AS part JOIN journal_writer AS writer USING (incarnation)
WHERE (writer.closed_at IS NULL
       OR writer.closed_at > coalesce((SELECT sealed_at FROM proof_root ORDER BY number DESC LIMIT 1), '-infinity'))
  AND NOT EXISTS (
      SELECT FROM journal_segment AS later WHERE later.incarnation = part.incarnation AND later.segment > part.segment
  )
ORDER BY incarnation;

-- name: insert_root!
INSERT INTO proof_root (number, day, over, upto_position, content, hash, signature, public_key, journals)
VALUES (:number, :day, :over, :upto_position, :content, :hash, :signature, :public_key, :journals::jsonb);

-- name: insert_parts!
INSERT INTO proof_part (root, organization_id, content)
SELECT :root, * FROM unnest(:organization_ids::text[], :contents::bytea[]);

-- name: roots
SELECT root.number, root.day, root.over, root.upto_position, root.content, root.hash, root.signature, root.public_key,
       root.sealed_at, coalesce(before.upto_position, 0) AS after_position
FROM proof_root AS root LEFT JOIN proof_root AS before ON before.number = root.number - 1
WHERE root.number > :after AND root.day >= coalesce(:since::date, '-infinity')
  AND root.day < coalesce(:until::date, 'infinity')
ORDER BY root.number LIMIT :limit;

-- name: parts
SELECT organization_id, content FROM proof_part WHERE root = :root ORDER BY organization_id;
