-- The spans of one name by outcome, before and after an instant. A copy of a span counts once.
SELECT
    toUnixTimestamp64Nano(Timestamp) >= {since:Int64} AS after,
    StatusCode = 'Error' AS failed,
    substringUTF8(if(
        StatusMessage != '' OR NOT failed, StatusMessage,
        arrayFirst(message -> message != '', arrayMap(event -> event['exception.message'], Events.Attributes))
    ), 1, 200) AS message,
    uniqExact(TraceId, SpanId) AS tries,
    toUnixTimestamp64Nano(min(Timestamp)) AS first,
    toUnixTimestamp64Nano(max(Timestamp)) AS last
FROM spans
WHERE SpanName = {name:String}
    AND ({service:String} = '' OR ServiceName = {service:String})
    AND Timestamp >= fromUnixTimestamp64Nano({from:Int64}, 'UTC')
GROUP BY after, failed, message
ORDER BY tries DESC, first, message
LIMIT 100
