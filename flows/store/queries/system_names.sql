-- The names that one system's signals carried since an instant, most frequent first: receptions, copies too.
SELECT kind, name, sum(counted) AS signals, max(last) AS last
FROM
(
    SELECT toString(kind) AS kind, toString(name) AS name, countIf(kind = 'event') AS counted, max(toUnixTimestamp64Nano(received)) AS last
    FROM signals
    WHERE system = {system:String} AND received >= fromUnixTimestamp64Nano({since:Int64}, 'UTC') AND as_of = 0
    GROUP BY kind, name
    UNION ALL
    SELECT 'span' AS kind, toString(SpanName) AS name, count() AS counted, max(toInt64(toUnixTimestamp(Received)) * 1000000000) AS last
    FROM spans
    WHERE ServiceName = {system:String} AND Received >= toDateTime(intDiv({since:Int64}, 1000000000), 'UTC')
    GROUP BY name
)
GROUP BY kind, name
ORDER BY signals DESC, name, kind
LIMIT {limit:UInt32}
