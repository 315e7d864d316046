-- How long after its own time each signal of a system arrived in [from, to), in nanoseconds: an event after it happened, a
-- span after it ended. Less than nothing says that the system's clock is ahead of ours. Within 1 %.
SELECT
    toString(system) AS system,
    count() AS judged,
    min(delay) AS least,
    quantilesDD(0.005, 0.5, 0.99)(delay)[1] AS half,
    quantilesDD(0.005, 0.5, 0.99)(delay)[2] AS most,
    countIf(delay < -3600000000000 OR delay > 31536000000000000) AS skewed
FROM
(
    SELECT
        system,
        toUnixTimestamp64Nano(received) - toUnixTimestamp64Nano(time) - duration AS delay
    FROM signals
    WHERE received >= fromUnixTimestamp64Nano({from:Int64}, 'UTC') AND received < fromUnixTimestamp64Nano({to:Int64}, 'UTC') AND as_of = 0
)
GROUP BY system
ORDER BY system
LIMIT {limit:UInt32}
