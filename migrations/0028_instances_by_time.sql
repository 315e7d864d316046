-- Which instances ended, by how long they were there and since when: of one class, those of an instant began within 2^class s before
-- it, so that all are found in a few narrow ranges. A place is of any row that an instance had: whoever reads looks at its signals.
CREATE TABLE IF NOT EXISTS {{.Database}}.instances_by_time{{.OnCluster}}
(
    flow        LowCardinality(String),
    class       UInt8 COMMENT 'until is less than 2^class seconds after began; 64 more where first_at was not known',
    began       DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    key         String CODEC(ZSTD(1)),
    until       DateTime64(9, 'UTC') COMMENT 'its end, or a signal after it' CODEC(Delta, ZSTD(1)),
    row_version UInt64 CODEC(Delta, ZSTD(1)),
    written     DateTime('UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = {{engine "ReplacingMergeTree(row_version)"}}
ORDER BY (flow, class, began, key)
TTL written + INTERVAL 400 DAY
