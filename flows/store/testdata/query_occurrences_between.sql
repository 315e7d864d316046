-- The occurrences of the instances of a flow, those of one instance together. What depends on the question
-- is put in at the marks: conditions on the key, and the segments, since looking up constant names is three times faster.
SELECT
    key,
    toUInt16(indexOf({steps:Array(String)}, step)) AS position,
    toUnixTimestamp64Nano(time) AS at,
    toUnixTimestamp64Nano(start_time) AS start,
    outcome = 'error' AS failed,
    toUInt8(sampled) AS chosen,
    source,
    id,
    sequence,
    system,
    toUnixTimestamp64Nano(as_of) AS judged,
    hash,
    ifNull(amount, '') AS money,
    currency,
    concat('', toString(length(segments[{segments_0:String}])), ':', segments[{segments_0:String}], toString(length(segments[{segments_1:String}])), ':', segments[{segments_1:String}]) AS cut,
    child,
    concat('', toString(length(expect[{expect_0:String}])), ':', expect[{expect_0:String}]) AS expected
FROM steps FINAL
WHERE flow = {flow:String} AND toUnixTimestamp64Nano(time) <= {until:Int64} AND position > 0
-- A condition of occurrences.sql: the instances that were in flight, ended or had a signal in [from, to]. They are looked up
-- without FINAL: an older row can only add an instance that the fold then finds to be outside. Where there are holds, an
-- instance may have been there before it started; where there are later ones of a key, all are folded from its occurrences.
AND key IN (
    SELECT arrayJoin(if({reopen:Bool}, [key, replaceRegexpOne(key, '#[0-9]+$', '')], [key]))
    FROM instances
    WHERE flow = {flow:String}
        AND ({holds:UInt8} = 1 OR ifNull(toUnixTimestamp64Nano(started_at), {from:Int64}) <= {to:Int64})
        AND (isNull(ended_at) OR toUnixTimestamp64Nano(ended_at) >= {from:Int64} OR toUnixTimestamp64Nano(last_at) >= {from:Int64})
        AND ({segment:String} = '' OR segments[{segment:String}] = {value:String})
)
ORDER BY key
