-- What was stored before, where that takes seconds, as with steps.
INSERT INTO {{.Database}}.instances_by_time
SELECT
    flow,
    toUInt8(if(isNull(first_at), 64, 0) + least(63, ceil(log2(1 + intDiv(toUnixTimestamp64Nano(until) - toUnixTimestamp64Nano(began), 1000000000))))) AS class,
    assumeNotNull(coalesce(first_at, started_at, ended_at)) AS began,
    key,
    greatest(assumeNotNull(ended_at), ifNull(last_at, assumeNotNull(ended_at)), began) AS until,
    row_version,
    written
FROM {{.Database}}.instances
WHERE isNotNull(ended_at) AND (SELECT count() FROM {{.Database}}.steps) <= 20000000
