-- The first minute from an instant on of which the roll-ups of a flow say something, both in seconds; none where they say nothing.
SELECT toInt64(start)
FROM rollups
WHERE flow = {flow:String} AND generation = {generation:UInt64} AND span = 60
    AND start >= toDateTime64({from:Int64}, 0, 'UTC') AND start < toDateTime64({to:Int64}, 0, 'UTC')
ORDER BY start
LIMIT 1
