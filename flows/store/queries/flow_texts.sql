-- The versions of a flow's file that ran, the last loaded first.
SELECT version, definition, toUnixTimestamp64Nano(loaded) AS loaded_at
FROM flow_versions FINAL
WHERE flow = {flow:String}
ORDER BY loaded_at DESC, version
LIMIT {limit:UInt32}
