-- Keys that were erased, by whom and when: the log of it, and what the next start goes on with where it was not done. value is the
-- key's until then, and empty after.
CREATE TABLE IF NOT EXISTS {{.Database}}.erasures{{.OnCluster}}
(
    token       String COMMENT 'what stands in place of the value',
    type        LowCardinality(String),
    value       String,
    by          String COMMENT 'name of the token that asked; empty where nobody is asked who they are',
    began       DateTime64(9, 'UTC'),
    done        Bool,
    signals     UInt64 COMMENT 'that carried the key',
    cutoff      UInt64 COMMENT 'rows of instances with a smaller version are of before',
    row_version UInt64
)
ENGINE = {{engine "ReplacingMergeTree(row_version)"}}
ORDER BY token
