-- A condition of occurrences.sql: the instances that were in flight, ended or had a signal in [from, to]. They are looked up
-- without FINAL: an older row can only add an instance that the fold then finds to be outside. Where there are holds, an
-- instance may have been there before it started; where there are later ones of a key, all are folded from its occurrences.
AND key IN (
    SELECT arrayJoin(if({reopen:Bool}, [key, replaceRegexpOne(key, '#[0-9]+$', '')], [key]))
    FROM instances
    WHERE flow = {flow:String}
        AND ({holds:UInt8} = 1 OR ifNull(toUnixTimestamp64Nano(started_at), {from:Int64}) <= {to:Int64})
        AND (isNull(ended_at) OR toUnixTimestamp64Nano(ended_at) >= {from:Int64} OR toUnixTimestamp64Nano(last_at) >= {from:Int64})
        AND ({segment:String} = '' OR segments[{segment:String}] = {value:String})
)
