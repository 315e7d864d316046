-- The instances whose key holds a text: the very key first, then keys that begin with it, short ones first. Without FINAL, which takes four
-- times as long, rows that were replaced or are gone are among them. At the mark, how many rows it looks at.
SELECT flow, key, '' AS state
FROM instances
WHERE positionCaseInsensitiveUTF8(key, {text:String}) > 0
ORDER BY
    lowerUTF8(key) IN (lowerUTF8({text:String}), lowerUTF8({whole:String})) DESC,
    startsWith(lowerUTF8(key), lowerUTF8({text:String})) OR startsWith(lowerUTF8(key), lowerUTF8({whole:String})) DESC,
    length(key),
    key,
    flow
LIMIT 1 BY flow, key
LIMIT {limit:UInt32}
SETTINGS max_execution_time = 2, timeout_overflow_mode = 'break', max_rows_to_read = /*rows*/, read_overflow_mode = 'break'
