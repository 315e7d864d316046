-- The instances of a flow that may matter between two instants, and when they began: those that ended, by class, and those in
-- flight, without FINAL: of the others a byte is read, their state, and nothing else. An older row can only add an instance that
-- the fold then finds to be outside.
SELECT key, toUnixTimestamp64Nano(min(began)) AS began, toUnixTimestamp64Nano(max(until)) AS until
FROM
(
    SELECT key, began, until
    FROM instances_by_time
    WHERE flow = {flow:String} AND until >= fromUnixTimestamp64Nano({from:Int64}, 'UTC') AND (/*classes*/)
    UNION ALL
    SELECT key, assumeNotNull(coalesce(first_at, started_at)) AS began, toDateTime64('2262-01-01', 9, 'UTC') AS until
    FROM instances
    PREWHERE state IN {states:Array(String)}
    WHERE flow = {flow:String} AND isNotNull(coalesce(first_at, started_at))
        AND (began <= fromUnixTimestamp64Nano({to:Int64}, 'UTC') OR isNull(first_at) AND {holds:UInt8} = 1)
)
GROUP BY key
ORDER BY began, key
LIMIT {limit:UInt64}
