-- A condition of instances.sql: those that started in [from, to). One without a path was begun by a hold, which starts nothing, or by
-- failed tries, which do: its steps tell. At the marks, the keys.
AND toUnixTimestamp64Nano(started_at) >= {from:Int64} AND toUnixTimestamp64Nano(started_at) < {to:Int64}
AND (notEmpty(path) OR key IN (
    SELECT key
    FROM steps FINAL
    WHERE flow = {flow:String} AND step IN {steps:Array(String)} /*among*/
        AND key IN (
            SELECT key
            FROM instances
            WHERE flow = {flow:String} AND empty(path) /*among*/
                AND toUnixTimestamp64Nano(started_at) >= {from:Int64} AND toUnixTimestamp64Nano(started_at) < {to:Int64}
        )
))
