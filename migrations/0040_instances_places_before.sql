-- What was stored before: few instances have such rows.
INSERT INTO {{.Database}}.instances_by_time
SELECT
    flow,
    place.1 AS class,
    place.2 AS began,
    key,
    greatest(assumeNotNull(ended_at), ifNull(last_at, assumeNotNull(ended_at)), assumeNotNull(coalesce(first_at, started_at, ended_at))) AS until,
    row_version,
    written
FROM {{.Database}}.instances
ARRAY JOIN [
    (toUInt8(128), ifNull(last_at, toDateTime64(0, 9, 'UTC'))),
    (toUInt8(129), ifNull(started_at, toDateTime64(0, 9, 'UTC')))
] AS place
WHERE isNotNull(ended_at) AND (
    isNull(last_at) OR isNull(started_at)
    OR last_at != greatest(assumeNotNull(ended_at), ifNull(last_at, assumeNotNull(ended_at)), assumeNotNull(coalesce(first_at, started_at, ended_at)))
    OR started_at != coalesce(first_at, started_at, ended_at)
)
