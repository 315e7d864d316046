-- The instances whose key is or begins with a text, in its case: the very key first, short ones first. The order of the table finds them,
-- however many there are. Rows that were replaced or are gone are among them. At the mark, the texts.
SELECT flow, key, '' AS state
FROM instances
WHERE /*begins*/
ORDER BY
    lowerUTF8(key) IN (lowerUTF8({text:String}), lowerUTF8({whole:String})) DESC,
    length(key),
    key,
    flow
LIMIT 1 BY flow, key
LIMIT {limit:UInt32}
SETTINGS max_execution_time = 3, timeout_overflow_mode = 'break'
