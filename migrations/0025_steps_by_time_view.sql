-- Each row of steps, as it is inserted.
CREATE MATERIALIZED VIEW IF NOT EXISTS {{.Database}}.steps_to_time{{.OnCluster}} TO {{.Database}}.steps_by_time AS
SELECT
    flow, toInt32(intDiv(toUnixTimestamp64Nano(start_time), 3600000000000)) AS hour, key, source, id, step, time, start_time, outcome, sequence,
    system, as_of, hash, sampled, amount, currency, segments, child, expect, row_version, deleted, written
FROM {{.Database}}.steps
