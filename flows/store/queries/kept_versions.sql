-- The ended instances of a flow that keep another version than that in force, by key. What depends on the question is put in
-- at the mark.
SELECT key, version
FROM instances FINAL
WHERE flow = {flow:String} AND version != {version:String} AND isNotNull(ended_at) /*keys*/
ORDER BY key
