-- The spans that have a value as an attribute.
SELECT DISTINCT concat(TraceId, ':', SpanId)
FROM spans
WHERE arrayExists(n -> lowerUTF8(SpanAttributes[n]) = lowerUTF8({value:String}) OR lowerUTF8(ResourceAttributes[n]) = lowerUTF8({value:String}), {names:Array(String)})
