-- What failed spans said, by span. The trace is found by its index.
SELECT
    TraceId,
    SpanId,
    substringUTF8(any(if(
        StatusMessage != '', StatusMessage,
        arrayFirst(message -> message != '', arrayMap(event -> event['exception.message'], Events.Attributes))
    )), 1, 300) AS message
FROM spans
WHERE TraceId IN {traces:Array(String)} AND StatusCode = 'Error'
GROUP BY TraceId, SpanId
HAVING message != ''
LIMIT 1000
