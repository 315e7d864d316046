-- series.sql of the roll-ups of whole minutes, all in seconds: the ends by the way and the step, '' for what started.
SELECT
    if(measure = 'started', '', toString(measure)) AS what,
    toString(step) AS at_step,
    toUInt32(intDiv(toInt64(start) - {first:Int64}, {step:Int64})) AS bucket,
    toInt64(sum(count)) AS counted,
    toInt64(sumIf(count, toInt64(start) >= {from:Int64})) AS inside
FROM rollups
WHERE flow = {flow:String} AND generation = {generation:UInt64} AND span = 60
    AND start >= toDateTime64({first:Int64}, 0, 'UTC') AND start < toDateTime64({to:Int64}, 0, 'UTC')
    AND measure IN ('started', 'completed', 'failed', 'cancelled', 'resolved', 'expired')
GROUP BY what, at_step, bucket
HAVING counted != 0
ORDER BY what, at_step, bucket
