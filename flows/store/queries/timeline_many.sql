-- The signals of a timeline, by the index of keys.
        SELECT *
        FROM signals
        WHERE hasAny(keys, {keys:Array(String)})
        UNION ALL
        SELECT *
        FROM signals
        PREWHERE name IN {names:Array(String)} AND time IN (SELECT fromUnixTimestamp64Nano(at, 'UTC') FROM wanted_signals)
        WHERE (if(kind = 'span', '', source), id) IN (SELECT source, id FROM wanted_signals)
