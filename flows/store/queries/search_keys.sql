-- The keys whose value holds a text, of signals of the last days: what was found within the time allowed.
SELECT arrayJoin(arrayFilter(k -> positionCaseInsensitiveUTF8(substring(k, position(k, ':') + 1), {text:String}) > 0, keys)) AS key
FROM signals
WHERE {type:String} = '' OR startsWith(key, {type:String})
GROUP BY key
ORDER BY
    lowerUTF8(substring(key, position(key, ':') + 1)) = lowerUTF8({text:String}) DESC,
    startsWith(lowerUTF8(substring(key, position(key, ':') + 1)), lowerUTF8({text:String})) DESC,
    length(key),
    key
LIMIT {limit:UInt32}
SETTINGS max_execution_time = 3, timeout_overflow_mode = 'break'
