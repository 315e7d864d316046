-- When some systems were last heard, of what was received since an instant.
SELECT system, max(last) AS last
FROM
(
    SELECT toString(system) AS system, max(toUnixTimestamp64Nano(received)) AS last
    FROM signals
    WHERE system IN {systems:Array(String)} AND received >= fromUnixTimestamp64Nano({since:Int64}, 'UTC') AND as_of = 0
    GROUP BY system
    UNION ALL
    SELECT toString(ServiceName) AS system, max(toInt64(toUnixTimestamp(Received)) * 1000000000) AS last
    FROM spans
    WHERE ServiceName IN {systems:Array(String)} AND Received >= toDateTime(intDiv({since:Int64}, 1000000000), 'UTC')
    GROUP BY system
)
GROUP BY system
