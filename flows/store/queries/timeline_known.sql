-- The signals of a timeline, where it is known when those of its keys were.
        SELECT *
        FROM signals
        PREWHERE name IN {names:Array(String)} AND time IN (SELECT fromUnixTimestamp64Nano(at, 'UTC') FROM wanted_signals)
        WHERE hasAny(keys, {keys:Array(String)}) OR (if(kind = 'span', '', source), id) IN (SELECT source, id FROM wanted_signals)
