-- A condition of instances.sql, for states that few are in: the keys that have a row in one of them, whatever came later.
-- Nearly all rows are of ended instances, and their states take next to no room.
AND key IN (SELECT key FROM instances WHERE flow = {flow:String} AND has({states:Array(String)}, state))
