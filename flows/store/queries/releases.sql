-- When services began to send as a version, the latest of each.
SELECT service, environment, version, toUnixTimestamp64Nano(at)
FROM releases
ORDER BY at DESC, service, environment, version
LIMIT {each:UInt64} BY service, environment
LIMIT {limit:UInt64}
