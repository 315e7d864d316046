-- The versions of a flow, but that in force, under which instances ended. Most flows had one file only: then no row is read.
SELECT groupUniqArray(toString(version))
FROM instances
WHERE flow = {flow:String} AND version != {version:String} AND isNotNull(ended_at)
    AND (SELECT count() FROM flow_versions WHERE flow = {flow:String} AND version != {version:String}) > 0
