-- Published figures of other vendors.

-- name: figures
SELECT market, vendor, metric, period, period_from, period_to, amount_pico, unit, share_bp, source, published, note
FROM market_figure WHERE metric = ANY (:metrics)
ORDER BY market, metric, period_from, period_to, vendor LIMIT :limit;

-- name: figure^
SELECT market, vendor, metric, period, period_from, period_to, amount_pico, unit, share_bp, source, published, note
FROM market_figure WHERE (market, vendor, metric, period) = (:market, :vendor, :metric, :period);

-- name: put!
INSERT INTO market_figure (
    market, vendor, metric, period, period_from, period_to, amount_pico, unit, share_bp, source, published, note
) VALUES (
    :market, :vendor, :metric, :period, :period_from, :period_to, :amount_pico, :unit, :share_bp, :source, :published,
    :note
) ON CONFLICT (market, vendor, metric, period) DO UPDATE SET
    period_from = excluded.period_from, period_to = excluded.period_to, amount_pico = excluded.amount_pico,
    unit = excluded.unit, share_bp = excluded.share_bp, source = excluded.source, published = excluded.published,
    note = excluded.note;

-- name: remove!
DELETE FROM market_figure WHERE market = :market;
