-- Those of some instances of a flow that are of a list, as they are now. At the mark, the keys, and what depends on the question.
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
WHERE flow = {flow:String}
AND key IN (SELECT value FROM wanted_keys)
-- A condition of instances.sql: those that started in [from, to). One without a path was begun by a hold, which starts nothing, or by
-- failed tries, which do: its steps tell. At the marks, the keys.
AND toUnixTimestamp64Nano(started_at) >= {from:Int64} AND toUnixTimestamp64Nano(started_at) < {to:Int64}
AND (notEmpty(path) OR key IN (
    SELECT key
    FROM steps FINAL
    WHERE flow = {flow:String} AND step IN {steps:Array(String)} AND key IN (SELECT value FROM wanted_keys)
        AND key IN (
            SELECT key
            FROM instances
            WHERE flow = {flow:String} AND empty(path) AND key IN (SELECT value FROM wanted_keys)
                AND toUnixTimestamp64Nano(started_at) >= {from:Int64} AND toUnixTimestamp64Nano(started_at) < {to:Int64}
        )
))
    AND ifNull(toUnixTimestamp64Nano(last_at) >= {since:Int64}, 0)
SETTINGS optimize_move_to_prewhere_if_final = 1
