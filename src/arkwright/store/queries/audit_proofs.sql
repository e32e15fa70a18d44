-- Whether the feed has every posting once, and whether roots still say what they were signed over.

-- name: wrong_places
-- A posting has a place, or stands unplaced: one of both.
SELECT 'transaction ' || coalesce(transaction.reference, place.transaction_id::text, unplaced.transaction_id::text)
           AS subject,
       'its place in the feed' AS what, coalesce(place.position::text, 'missing') AS found,
       CASE WHEN transaction.id IS NULL THEN 'none: there is no such transaction'
            WHEN place.position IS NULL THEN 'one, or to stand among the unplaced'
            ELSE 'none, while it stands among the unplaced' END AS expected
FROM ledger_transaction AS transaction
FULL JOIN ledger_place AS place ON place.transaction_id = transaction.id
FULL JOIN ledger_unplaced AS unplaced ON unplaced.transaction_id = coalesce(transaction.id, place.transaction_id)
WHERE transaction.id IS NULL OR (place.position IS NULL) = (unplaced.transaction_id IS NULL)
UNION ALL
SELECT 'place ' || position, 'the place before it', coalesce(before::text, 'missing'), (position - 1)::text
FROM (SELECT position, coalesce(lag(position) OVER (ORDER BY position), 0) AS before FROM ledger_place) AS ordered
WHERE before <> position - 1
LIMIT :limit;

-- name: wrong_roots
-- The chain: each root's hash is of its content, which names the root before, and its own number and day.
WITH told AS (
    SELECT root.*, convert_from(content, 'UTF8')::jsonb AS said,
           coalesce(lag(encode(hash, 'hex')) OVER (ORDER BY number), '') AS hash_before,
           coalesce(lag(number) OVER (ORDER BY number), 0) AS number_before
    FROM proof_root AS root
)
SELECT 'root ' || number AS subject, 'what it was signed over' AS what,
       concat_ws(' ', said->>'number', said->>'day', said->>'over', 'after', said->>'previous', 'hash',
                 encode(sha256(content), 'hex')) AS found,
       concat_ws(' ', number_before + 1, day, over, 'after', hash_before, 'hash', encode(hash, 'hex')) AS expected
FROM told
WHERE sha256(content) <> hash OR said->>'previous' <> hash_before OR number <> number_before + 1
   OR (said->>'number', said->>'day', said->>'over') IS DISTINCT FROM (number::text, day::text, over::text)
ORDER BY number LIMIT :limit;

-- name: wrong_parts
-- What each organization's leaf says of its rows, against the charges at those places of the feed.
WITH span AS (
    SELECT number, coalesce(lag(upto_position) OVER (ORDER BY number), 0) AS after, upto_position AS upto FROM proof_root
), summed AS (
    SELECT span.number, charge.organization_id, charge.currency, count(*) AS rows, sum(charge.amount_pico)::text AS pico
    FROM span
    JOIN ledger_place AS place ON place.position > span.after AND place.position <= span.upto
    JOIN charge ON charge.transaction_id = place.transaction_id
    GROUP BY 1, 2, 3
), due AS (
    SELECT number, organization_id, sum(rows)::bigint AS rows, jsonb_object_agg(currency, pico) AS amounts
    FROM summed GROUP BY 1, 2
), signed AS (
    SELECT root AS number, organization_id, convert_from(content, 'UTF8')::jsonb AS said FROM proof_part
)
SELECT 'root ' || coalesce(signed.number, due.number) || ' of ' || coalesce(signed.organization_id, due.organization_id)
           AS subject,
       'its rows and their sum' AS what, concat_ws(' ', coalesce(due.rows, 0), coalesce(due.amounts, '{}')) AS found,
       concat_ws(' ', signed.said->>'rows', coalesce(signed.said->'amount_pico', '"no leaf"')) AS expected
FROM signed FULL JOIN due USING (number, organization_id)
WHERE signed.said IS NULL OR (signed.said->>'rows')::bigint <> coalesce(due.rows, 0)
   OR signed.said->'amount_pico' <> coalesce(due.amounts, '{}')
ORDER BY 1 LIMIT :limit;
