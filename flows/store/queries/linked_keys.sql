-- The keys that share a signal with one of some keys.
SELECT DISTINCT arrayJoin(keys) AS key
FROM signals
WHERE hasAny(keys, {keys:Array(String)}) AND NOT has({known:Array(String)}, key)
ORDER BY key
LIMIT {limit:UInt32}
