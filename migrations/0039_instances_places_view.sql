-- An ended instance stands in lists by its last signal at until, and by its start at began, of its row in instances_by_time. Where it
-- does not, as after a hold or where it ended by the clock, it has two rows more, of classes of their own: began is its last signal in
-- class 128, its start in class 129.
CREATE MATERIALIZED VIEW IF NOT EXISTS {{.Database}}.instances_to_places{{.OnCluster}} TO {{.Database}}.instances_by_time AS
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
