-- What was stored before, where that takes seconds. Where it was more, steps alone goes on to be read: the oldest row tells.
INSERT INTO {{.Database}}.steps_by_time
SELECT
    flow, toInt32(intDiv(toUnixTimestamp64Nano(start_time), 3600000000000)) AS hour, key, source, id, step, time, start_time, outcome, sequence,
    system, as_of, hash, sampled, amount, currency, segments, child, expect, row_version, deleted, written
FROM {{.Database}}.steps
WHERE (SELECT count() FROM {{.Database}}.steps) <= 20000000
