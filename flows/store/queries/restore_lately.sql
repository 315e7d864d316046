-- A condition of restore_instances.sql where not all is asked for: most ended long ago, and two small columns leave them out. A key
-- passes with any row that says so, whatever came later.
AND key IN (SELECT key FROM instances WHERE flow = {flow:String} AND (isNull(ended_at) OR written >= toDateTime({since:Int64}, 'UTC')))
