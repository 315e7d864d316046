-- By value of each segment: instances that are stuck at a step, and instances that passed it lately.
SELECT
    segment.1 AS name,
    segment.2 AS value,
    countIf(stuck) AS stuck_here,
    countIf(passed) AS passed_here
FROM (
    SELECT
        arrayJoin(arrayZip(mapKeys(segments), mapValues(segments))) AS segment,
        state = 'stuck' AND reason_step = {step:String} AS stuck,
        NOT stuck AND has(path, {step:String}) AND ifNull(toUnixTimestamp64Nano(last_at) >= {since:Int64}, 0) AS passed
    FROM instances FINAL
    WHERE flow = {flow:String}
        AND key IN (SELECT key FROM instances WHERE flow = {flow:String} AND (state = 'stuck' OR last_at >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')))
        AND (stuck OR passed)
)
GROUP BY name, value
ORDER BY stuck_here DESC, passed_here DESC, name, value
LIMIT {limit:UInt32}
