-- The places in a list by age of ended instances that started in [from, to].
SELECT toUnixTimestamp64Nano(if(class = 128, began, until)) AS rank, toFloat64(0) AS negative, key
FROM instances_by_time
WHERE flow = {flow:String} AND began >= fromUnixTimestamp64Nano({lo:Int64}, 'UTC')
    AND (class = 128 OR began <= fromUnixTimestamp64Nano({hi:Int64}, 'UTC'))
    AND ({begin:UInt8} = 1 OR (rank, negative, key) > ({rank:Int64}, {negative:Float64}, {key:String}))
ORDER BY rank, key
LIMIT {limit:UInt32}
