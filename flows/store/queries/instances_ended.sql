-- A condition of instances.sql: those that ended in [from, to) in a state.
AND toUnixTimestamp64Nano(ended_at) >= {from:Int64} AND toUnixTimestamp64Nano(ended_at) < {to:Int64} AND state = {counted:String}
