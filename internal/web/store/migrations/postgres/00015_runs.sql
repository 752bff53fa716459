-- What is counted of a core's refusals, by its runs.

-- +goose Up
DROP TABLE refusals_told;

-- What each run of a core has counted, as far as it is in refusals. The last few of a site are kept: what
-- one has said may come after what the next one says.
CREATE TABLE refusals_told (
    site_id TEXT   NOT NULL,
    run     TEXT   NOT NULL,
    reason  TEXT   NOT NULL,
    number  BIGINT NOT NULL,
    told    BIGINT NOT NULL,
    PRIMARY KEY (site_id, run, reason)
);

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
