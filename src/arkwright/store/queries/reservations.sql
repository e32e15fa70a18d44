-- Reserved throughput.

-- name: insert!
INSERT INTO reservation (
    id, organization_id, reference, model, input_tokens_per_minute, output_tokens_per_minute, overflow, amount_pico,
    valid_from, valid_until, declared
) VALUES (
    :id, :organization_id, :reference, :model, :input_tokens_per_minute, :output_tokens_per_minute, :overflow,
    :amount_pico, :valid_from, :valid_until, :declared
);

-- name: by_reference^
SELECT id, organization_id, reference, model, input_tokens_per_minute, output_tokens_per_minute, overflow, amount_pico,
       valid_from, valid_until, ended_at, declared, created_at
FROM reservation WHERE organization_id = :organization_id AND (id = :reference OR reference = :reference)
ORDER BY id <> :reference LIMIT 1;

-- name: page
SELECT id, organization_id, reference, model, input_tokens_per_minute, output_tokens_per_minute, overflow, amount_pico,
       valid_from, valid_until, ended_at, declared, created_at
FROM reservation
WHERE organization_id = :organization_id AND id > :after
  AND (:ended OR (ended_at IS NULL AND valid_until > now()))
ORDER BY id LIMIT :limit;

-- name: declared
SELECT id, organization_id, reference, model, input_tokens_per_minute, output_tokens_per_minute, overflow, amount_pico,
       valid_from, valid_until, ended_at, declared, created_at
FROM reservation
WHERE organization_id = :organization_id AND declared AND ended_at IS NULL AND valid_until > now()
ORDER BY id;

-- name: end!
UPDATE reservation SET ended_at = now() WHERE id = :id AND ended_at IS NULL;

-- name: usable
-- For a snapshot: those of now and those to come.
SELECT id, organization_id, model, input_row, output_row, input_tokens_per_minute, output_tokens_per_minute, overflow,
       valid_from, valid_until
FROM reservation
WHERE ended_at IS NULL AND valid_until > :at AND greatest(input_row, output_row) < :rows
ORDER BY id;

-- name: last_row$
SELECT coalesce(max(greatest(input_row, output_row)), -1) FROM reservation;
