-- The places of ended instances in a list by age whose last signal came in [from, to]: as instances_places.sql has them, of rows that
-- were replaced too. At the mark, where to look.
SELECT toUnixTimestamp64Nano(if(class = 128, began, until)) AS rank, toFloat64(0) AS negative, key
FROM instances_by_time
WHERE flow = {flow:String} AND (until >= fromUnixTimestamp64Nano({lo:Int64}, 'UTC') AND until <= fromUnixTimestamp64Nano({hi:Int64}, 'UTC') AND began <= fromUnixTimestamp64Nano({hi:Int64}, 'UTC') AND (/*classes*/)
    OR class = 128 AND began >= fromUnixTimestamp64Nano({lo:Int64}, 'UTC') AND began <= fromUnixTimestamp64Nano({hi:Int64}, 'UTC'))
    AND ({begin:UInt8} = 1 OR (rank, negative, key) > ({rank:Int64}, {negative:Float64}, {key:String}))
ORDER BY rank, key
LIMIT {limit:UInt32}
