-- The places of the first rows of a flow's instances in the order asked for, as instances.sql has them, but without FINAL, which
-- costs ten times as much: rows that were replaced since are among them. At the marks, what depends on the question.
SELECT
    multiIf(
        {sort:String} = 'age', ifNull(toUnixTimestamp64Nano(if(state = 'stuck' AND reason != 'idle', stuck_since, last_at)), 0),
        {sort:String} = 'started', -ifNull(toUnixTimestamp64Nano(started_at), 0),
        materialize(toInt64(0))
    ) AS rank,
    if({sort:String} = 'value', ifNull(-amount_sort, {most:Float64}), materialize(toFloat64(0))) AS negative,
    key
FROM instances
PREWHERE state IN {states:Array(String)}
WHERE flow = {flow:String}
AND state IN {states:Array(String)}
-- A condition of instances.sql: those that started in [from, to). One without a path was begun by a hold, which starts nothing, or by
-- failed tries, which do: its steps tell. At the marks, the keys.
AND toUnixTimestamp64Nano(started_at) >= {from:Int64} AND toUnixTimestamp64Nano(started_at) < {to:Int64}
    AND ifNull(toUnixTimestamp64Nano(last_at) >= {since:Int64}, 0)
    AND ({begin:UInt8} = 1 OR (rank, negative, key) > ({rank:Int64}, {negative:Float64}, {key:String}))
ORDER BY rank, negative, key
LIMIT {limit:UInt32}
