-- Which of some keys any signal carries: the index of keys finds them.
SELECT DISTINCT arrayJoin(keys) AS key
FROM signals
WHERE hasAny(keys, {keys:Array(String)}) AND has({keys:Array(String)}, key)
LIMIT {limit:UInt32}
SETTINGS max_execution_time = 3, timeout_overflow_mode = 'break'
