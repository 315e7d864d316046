-- One page of a flow's instances as they are now. The inner select finds the page on few columns: rank, negative and key
-- are the place of a row in the order asked for. At the mark, what depends on the question.
SELECT /*columns*/
FROM instances FINAL
WHERE flow = {flow:String} AND key IN (
    SELECT key
    FROM (
        SELECT
            key,
            multiIf(
                {sort:String} = 'age', ifNull(toUnixTimestamp64Nano(if(state = 'stuck' AND reason != 'idle', stuck_since, last_at)), 0),
                {sort:String} = 'started', -ifNull(toUnixTimestamp64Nano(started_at), 0),
                materialize(toInt64(0))
            ) AS rank,
            if({sort:String} = 'value', ifNull(-amount_sort, {most:Float64}), materialize(toFloat64(0))) AS negative
        FROM instances FINAL
        WHERE flow = {flow:String} /*keys*/
            AND ifNull(toUnixTimestamp64Nano(last_at) >= {since:Int64}, 0)
            AND ({begin:UInt8} = 1 OR (rank, negative, key) > ({rank:Int64}, {negative:Float64}, {key:String}))
        ORDER BY rank, negative, key
        LIMIT {limit:UInt32}
    )
)
SETTINGS optimize_move_to_prewhere_if_final = 1
