-- The paths of the instances of a flow that started in [from, to), from their rows; unknown are rows from before
-- path_for, and those in flight that the version in force did not judge yet.
SELECT
    path,
    count() AS counted,
    quantileExactLow(0.5)(path_for) AS half,
    min(conforming) AS all_conform,
    sum(countIf(isNull(first_at) OR isNull(ended_at) AND version != {version:String})) OVER () AS unknown,
    sum(count()) OVER () AS instances,
    count() OVER () AS paths
FROM instances FINAL
WHERE flow = {flow:String} AND notEmpty(path) AND isNotNull(started_at)
    AND toUnixTimestamp64Nano(assumeNotNull(started_at)) >= {from:Int64} AND toUnixTimestamp64Nano(assumeNotNull(started_at)) < {to:Int64}
GROUP BY path
ORDER BY counted DESC, path
LIMIT {limit:UInt32}
