-- What the roll-ups say of some hours, each by its start in seconds: by whole hours, or by the minutes of which an hour is made where
-- the clocks of the zone do not agree with those of UTC.
SELECT
    toUInt8(arrayFirstIndex(hour -> toInt64(start) >= hour AND toInt64(start) < hour + 3600, {hours:Array(Int64)})) AS hour_of,
    toString(measure), toString(step), bin, toInt64(sum(count)) AS counted
FROM rollups
WHERE flow = {flow:String} AND generation = {generation:UInt64} AND span = {span:UInt32}
    AND start IN (SELECT toDateTime64(arrayJoin({starts:Array(Int64)}), 0, 'UTC'))
    AND measure IN ('started', 'completed', 'latency', 'reached', 'step_latency')
GROUP BY hour_of, measure, step, bin
HAVING counted != 0
ORDER BY hour_of, measure, step, bin
