-- The signals of one instance, one copy of each: of copies that differ the earliest. Name and time are there because the
-- table is sorted by them.
SELECT /*columns*/
FROM signals
WHERE name IN {names:Array(String)}
    AND time IN (
        SELECT start_time
        FROM steps FINAL
        WHERE flow = {flow:String} AND key = {key:String} AND toUnixTimestamp64Nano(time) <= {until:Int64}
    )
    AND (if(kind = 'span', '', source), id) IN (
        SELECT source, id
        FROM steps FINAL
        WHERE flow = {flow:String} AND key = {key:String} AND toUnixTimestamp64Nano(time) <= {until:Int64}
    )
ORDER BY time, attributes, data, received
LIMIT 1 BY if(kind = 'span', '', source), id
LIMIT {limit:UInt32}
