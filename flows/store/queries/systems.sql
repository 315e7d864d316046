-- What arrived from each system in [from, to), in buckets: receptions, copies too; imports are history and no arrival. Spans
-- are counted in their own table, which holds all of them; those that flows use are in signals as well, with their
-- instant of reception to the nanosecond, and tell only that the system was heard.
SELECT
    system,
    bucket,
    sum(counted) AS signals,
    min(first) AS first,
    max(last) AS last
FROM
(
    SELECT
        toString(system) AS system,
        toUInt32(intDiv(toUnixTimestamp64Nano(received) - {from:Int64}, {step:Int64})) AS bucket,
        countIf(kind = 'event') AS counted,
        min(toUnixTimestamp64Nano(received)) AS first,
        max(toUnixTimestamp64Nano(received)) AS last
    FROM signals
    WHERE received >= fromUnixTimestamp64Nano({from:Int64}, 'UTC') AND received < fromUnixTimestamp64Nano({to:Int64}, 'UTC') AND as_of = 0
    GROUP BY system, bucket
    UNION ALL
    SELECT
        toString(ServiceName) AS system,
        toUInt32(intDiv(greatest(toInt64(toUnixTimestamp(Received)) * 1000000000, {from:Int64}) - {from:Int64}, {step:Int64})) AS bucket,
        count() AS counted,
        min(greatest(toInt64(toUnixTimestamp(Received)) * 1000000000, {from:Int64})) AS first,
        max(greatest(toInt64(toUnixTimestamp(Received)) * 1000000000, {from:Int64})) AS last
    FROM spans
    WHERE Received >= toDateTime(intDiv({from:Int64}, 1000000000), 'UTC') AND Received < toDateTime(intDiv({to:Int64}, 1000000000) + 1, 'UTC')
    GROUP BY system, bucket
)
GROUP BY system, bucket
ORDER BY system, bucket
LIMIT {limit:UInt32}
