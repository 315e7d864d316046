-- One page of a flow's instances as they are now. The inner select finds the page on few columns: rank, negative and key
-- are the place of a row in the order asked for. At the mark, what depends on the question.
SELECT
    flow,
    version,
    key,
    state,
    reason,
    reason_step,
    system,
    ifNull(toUnixTimestamp64Nano(stuck_since), {none:Int64}),
    stuck_for,
    recovered,
    ifNull(toUnixTimestamp64Nano(started_at), {none:Int64}),
    ifNull(toUnixTimestamp64Nano(last_at), {none:Int64}),
    ifNull(toUnixTimestamp64Nano(ended_at), {none:Int64}),
    end_step,
    waiting_on.step,
    waiting_on.system,
    arrayMap(t -> ifNull(toUnixTimestamp64Nano(t), {none:Int64}), waiting_on.due_at),
    arrayMap(t -> ifNull(toUnixTimestamp64Nano(t), {none:Int64}), waiting_on.deadline),
    path,
    deviations,
    conforming,
    ifNull(amount, ''),
    currency,
    segments,
    ifNull(toUnixTimestamp64Nano(as_of), {none:Int64}),
    imported,
    hold,
    ifNull(toUnixTimestamp64Nano(held_since), {none:Int64}),
    ifNull(toUnixTimestamp64Nano(held_until), {none:Int64}),
    reopened,
    waiting_on.expected,
    waiting_on.seen,
    ifNull(toUnixTimestamp64Nano(first_at), {none:Int64}),
    path_for
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
        WHERE flow = {flow:String}
            AND ifNull(toUnixTimestamp64Nano(last_at) >= {since:Int64}, 0)
            AND ({begin:UInt8} = 1 OR (rank, negative, key) > ({rank:Int64}, {negative:Float64}, {key:String}))
        ORDER BY rank, negative, key
        LIMIT {limit:UInt32}
    )
)
SETTINGS optimize_move_to_prewhere_if_final = 1
