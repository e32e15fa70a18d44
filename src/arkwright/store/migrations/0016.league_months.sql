-- Whole months of the league tables: a year by customer is read in twelve rows a customer instead of 365.
CREATE TABLE league_monthly (
    dimension text NOT NULL CHECK (dimension IN ('total', 'provider', 'model', 'customer', 'industry', 'modality')),
    month     date NOT NULL CHECK (extract(day FROM month) = 1),
    class     text NOT NULL,
    value     text NOT NULL,
    requests  bigint NOT NULL,
    tokens    bigint NOT NULL,
    PRIMARY KEY (dimension, month, class, value)
);
INSERT INTO league_monthly (dimension, month, class, value, requests, tokens)
SELECT dimension, date_trunc('month', day)::date, class, value, sum(requests), sum(tokens)
FROM league_daily GROUP BY 1, 2, 3, 4;
