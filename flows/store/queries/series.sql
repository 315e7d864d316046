-- What happened to the instances of a flow from first to to: those that started, and those that ended, by the way and the
-- step, in buckets of a length; inside are those of them from from on. Rows of the last known state: an instance stands in it once.
-- One without a path was begun by a hold, which starts nothing, or by failed tries, which do: its steps tell.
SELECT what, step, bucket, toInt64(count()) AS counted, toInt64(countIf(at >= {from:Int64})) AS inside
FROM
(
    SELECT
        arrayJoin([('', '', started_at), (toString(state), toString(end_step), ended_at)]) AS happened,
        happened.1 AS what,
        happened.2 AS step,
        toUnixTimestamp64Nano(assumeNotNull(happened.3)) AS at,
        toUInt32(intDiv(at - {first:Int64}, {step:Int64})) AS bucket
    FROM instances FINAL
    WHERE flow = {flow:String}
        AND key IN (
            SELECT key
            FROM instances
            WHERE flow = {flow:String}
                AND (started_at >= fromUnixTimestamp64Nano({first:Int64}, 'UTC') AND started_at < fromUnixTimestamp64Nano({to:Int64}, 'UTC')
                    OR ended_at >= fromUnixTimestamp64Nano({first:Int64}, 'UTC') AND ended_at < fromUnixTimestamp64Nano({to:Int64}, 'UTC'))
        )
        AND isNotNull(happened.3) AND at >= {first:Int64} AND at < {to:Int64}
        AND (what != '' OR notEmpty(path) OR key IN (
            SELECT key
            FROM steps FINAL
            WHERE flow = {flow:String} AND step IN {steps:Array(String)}
                AND key IN (SELECT key FROM instances WHERE flow = {flow:String} AND empty(path))
        ))
)
GROUP BY what, step, bucket
ORDER BY what, step, bucket
