-- The instances whose key holds a text: the very key first, then keys that begin with it, short ones first.
SELECT flow, key, state
FROM instances FINAL
WHERE positionCaseInsensitiveUTF8(key, {text:String}) > 0
ORDER BY
    lowerUTF8(key) = lowerUTF8({text:String}) DESC,
    startsWith(lowerUTF8(key), lowerUTF8({text:String})) DESC,
    length(key),
    key,
    flow
LIMIT {limit:UInt32}
SETTINGS max_execution_time = 3, timeout_overflow_mode = 'break'
