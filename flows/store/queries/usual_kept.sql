-- When the last of those instances ended that keep another version than that in force; 0 for none. They are in no roll-up.
SELECT toUnixTimestamp64Nano(ifNull(max(ended_at), toDateTime64(0, 9, 'UTC')))
FROM instances
WHERE flow = {flow:String} AND version != {version:String} AND isNotNull(ended_at)
