-- The last known state of each instance: read with FINAL, which leaves the row with the greatest row_version, if it is not
-- deleted. Sorted for the top queries, a flow's list and one instance. NULL is a time that is not known or never comes.
-- amount is exact, as text (amounts have no common scale); amount_sort is for order only.
CREATE TABLE IF NOT EXISTS {{.Database}}.instances{{.OnCluster}}
(
    flow        LowCardinality(String),
    key         String,
    version     LowCardinality(String) COMMENT 'of the flow file',
    state       LowCardinality(String),
    reason      LowCardinality(String),
    reason_step LowCardinality(String),
    system      LowCardinality(String) COMMENT 'of reason_step',
    stuck_since Nullable(DateTime64(9, 'UTC')),
    stuck_for   Int64 COMMENT 'nanoseconds',
    recovered   Bool,
    started_at  Nullable(DateTime64(9, 'UTC')),
    last_at     Nullable(DateTime64(9, 'UTC')),
    ended_at    Nullable(DateTime64(9, 'UTC')),
    end_step    LowCardinality(String),
    waiting_on  Nested
    (
        step     LowCardinality(String),
        system   LowCardinality(String),
        due_at   Nullable(DateTime64(9, 'UTC')),
        deadline Nullable(DateTime64(9, 'UTC'))
    ),
    path        Array(LowCardinality(String)) COMMENT 'steps in the order of their signals',
    deviations  Array(LowCardinality(String)),
    conforming  Bool,
    amount      Nullable(String),
    amount_sort Nullable(Float64) MATERIALIZED toFloat64OrNull(amount),
    currency    LowCardinality(String),
    segments    Map(LowCardinality(String), String),
    as_of       Nullable(DateTime64(9, 'UTC')) COMMENT 'instant of the verdict',
    imported    Bool,
    deleted     UInt8 COMMENT 'all its signals turned out to belong elsewhere',
    row_version UInt64,
    written     DateTime('UTC') DEFAULT now()
)
ENGINE = {{engine "ReplacingMergeTree(row_version, deleted)"}}
ORDER BY (flow, key)
TTL written + INTERVAL 400 DAY DELETE WHERE isNotNull(ended_at)
