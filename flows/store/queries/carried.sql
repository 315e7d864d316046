-- When some of the signals that carry one of some keys were, and all keys of each.
SELECT name, toUnixTimestamp64Nano(time), keys
FROM signals
WHERE hasAny(keys, {keys:Array(String)})
LIMIT {limit:UInt32}
