-- Ended instances of a flow that keep, or kept, another version than that in force, and were there between two instants.
SELECT DISTINCT key
FROM instances
WHERE flow = {flow:String} AND version != {version:String} AND isNotNull(ended_at)
    AND toUnixTimestamp64Nano(greatest(assumeNotNull(ended_at), ifNull(last_at, assumeNotNull(ended_at)))) >= {from:Int64}
    AND (isNull(first_at) OR toUnixTimestamp64Nano(assumeNotNull(first_at)) <= {to:Int64})
LIMIT {limit:UInt64}
