-- The signals of one instance, one copy of each: of copies that differ the earliest. Name and time are there because the
-- table is sorted by them.
SELECT /*columns*/
FROM signals
PREWHERE name IN {names:Array(String)} AND time IN (SELECT fromUnixTimestamp64Nano(at, 'UTC') FROM wanted_signals)
WHERE (if(kind = 'span', '', source), id) IN (SELECT source, id FROM wanted_signals)
ORDER BY time, attributes, data, received
LIMIT 1 BY if(kind = 'span', '', source), id
LIMIT {limit:UInt32}
