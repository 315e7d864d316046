-- The keys of signals whose value holds a text, or type and value together do. At the mark, how many rows it looks at.
SELECT arrayJoin(arrayFilter(k -> positionCaseInsensitiveUTF8(substring(k, if({whole:UInt8} = 1, 1, position(k, ':') + 1)), {text:String}) > 0, keys)) AS key
FROM signals
PREWHERE arrayExists(k -> positionCaseInsensitiveUTF8(k, {text:String}) > 0, keys)
WHERE {type:String} = '' OR startsWith(key, {type:String})
GROUP BY key
ORDER BY
    lowerUTF8(substring(key, position(key, ':') + 1)) = lowerUTF8({text:String}) DESC,
    startsWith(lowerUTF8(substring(key, position(key, ':') + 1)), lowerUTF8({text:String})) DESC,
    length(key),
    key
LIMIT {limit:UInt32}
SETTINGS max_execution_time = 2, timeout_overflow_mode = 'break', max_rows_to_read = /*rows*/, read_overflow_mode = 'break'
