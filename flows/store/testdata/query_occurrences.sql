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
    '' AS cut,
    child,
    concat('', toString(length(expect[{expect_0:String}])), ':', expect[{expect_0:String}]) AS expected
FROM steps FINAL
WHERE flow = {flow:String} AND toUnixTimestamp64Nano(time) <= {until:Int64} AND position > 0
ORDER BY key
