-- The places of ended instances in a list by start that started in [from, to] and had a signal since: as instances_places.sql has them, of
-- rows that were replaced too.
SELECT -toUnixTimestamp64Nano(began) AS rank, toFloat64(0) AS negative, key
FROM instances_by_time
WHERE flow = {flow:String} AND class != 128
    AND began >= fromUnixTimestamp64Nano({lo:Int64}, 'UTC') AND began <= fromUnixTimestamp64Nano({hi:Int64}, 'UTC')
    AND until >= fromUnixTimestamp64Nano({seen:Int64}, 'UTC')
    AND ({begin:UInt8} = 1 OR (rank, negative, key) > ({rank:Int64}, {negative:Float64}, {key:String}))
ORDER BY rank, key
LIMIT {limit:UInt32}
