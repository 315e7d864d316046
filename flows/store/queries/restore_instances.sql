-- What is stored of a flow's instances: those in flight, and those written lately.
SELECT /*columns*/
FROM instances FINAL
WHERE flow = {flow:String} AND (isNull(ended_at) OR written >= toDateTime({since:Int64}, 'UTC'))
ORDER BY key
