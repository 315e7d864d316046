-- The log records that belong to some spans, have a value as an attribute, or as a word of their text.
SELECT DISTINCT reinterpretAsUInt64(substring(SHA256(concat(toString(Timestamp), ServiceName, TraceId, SpanId, Body)), 1, 8))
FROM logs
WHERE concat(TraceId, ':', SpanId) IN (SELECT value FROM erased_spans)
    OR arrayExists(n -> lowerUTF8(LogAttributes[n]) = lowerUTF8({value:String}) OR lowerUTF8(ResourceAttributes[n]) = lowerUTF8({value:String}), {names:Array(String)})
    OR position(Body, {value:String}) > 0
        AND match(Body, {word:String})
        AND ({anywhere:UInt8} = 1 OR TraceId IN (SELECT substring(value, 1, position(value, ':') - 1) FROM erased_spans))
