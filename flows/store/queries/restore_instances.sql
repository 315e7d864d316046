-- What is stored of a flow's instances: those in flight, and those written lately. At the mark, restore_lately.sql.
SELECT /*columns*/
FROM instances FINAL
WHERE flow = {flow:String} /*keys*/
    AND (isNull(ended_at) OR written >= toDateTime({since:Int64}, 'UTC'))
ORDER BY key
