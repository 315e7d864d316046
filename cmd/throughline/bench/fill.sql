-- History of {count} ended cases of bench-stored from the {from}-th on, of {total} in all that began at even distances from
-- {since} on for {span} nanoseconds: five events each, two to six minutes apart (storedCase says the same). Keys have no order in time.
INSERT INTO /*database*/.signals
    (received, time, duration, kind, name, source, id, system, outcome, keys, data, as_of)
SELECT
    addMilliseconds(time, 30 + number % 40) AS received,
    fromUnixTimestamp64Nano({since:Int64} + toInt64(intDiv(number, 5) * intDiv({span:Int64}, {total:Int64})) + 1000000 * toInt64(arraySum(arraySlice([120000 + intDiv(number, 5) * 48271 % 240000, 120000 + intDiv(number, 5) * 69621 % 240000, 120000 + intDiv(number, 5) * 40692 % 240000, 120000 + intDiv(number, 5) * 16807 % 240000], 1, number % 5))), 'UTC') AS time,
    0 AS duration,
    'event' AS kind,
    ['bench.begun', 'bench.paid', 'bench.packed', 'bench.shipped', 'bench.arrived'][number % 5 + 1] AS name,
    'bench' AS source,
    lower(hex(sipHash64(number, 'signal'))) AS id,
    ['shop', 'bank', 'depot', 'depot', 'carrier'][number % 5 + 1] AS system,
    'ok' AS outcome,
    ['bench_id:' || lower(hex(sipHash64(intDiv(number, 5))))] AS keys,
    '{"bench_id":"' || lower(hex(sipHash64(intDiv(number, 5)))) || '","region":"' || ['EU', 'US', 'APAC'][intDiv(number, 5) % 3 + 1] || '","channel":"web"}' AS data,
    toDateTime64(0, 9, 'UTC') AS as_of
FROM numbers({from:UInt64} * 5, {count:UInt64} * 5);

INSERT INTO /*database*/.steps
    (flow, key, source, id, step, time, start_time, outcome, system, as_of, hash, segments, row_version, deleted, written)
SELECT
    'bench-stored' AS flow,
    lower(hex(sipHash64(intDiv(number, 5)))) AS key,
    'bench' AS source,
    lower(hex(sipHash64(number, 'signal'))) AS id,
    ['begun', 'paid', 'packed', 'shipped', 'arrived'][number % 5 + 1] AS step,
    fromUnixTimestamp64Nano({since:Int64} + toInt64(intDiv(number, 5) * intDiv({span:Int64}, {total:Int64})) + 1000000 * toInt64(arraySum(arraySlice([120000 + intDiv(number, 5) * 48271 % 240000, 120000 + intDiv(number, 5) * 69621 % 240000, 120000 + intDiv(number, 5) * 40692 % 240000, 120000 + intDiv(number, 5) * 16807 % 240000], 1, number % 5))), 'UTC') AS time,
    time AS start_time,
    'ok' AS outcome,
    ['shop', 'bank', 'depot', 'depot', 'carrier'][number % 5 + 1] AS system,
    toDateTime64(0, 9, 'UTC') AS as_of,
    sipHash64(number) AS hash,
    map('region', ['EU', 'US', 'APAC'][intDiv(number, 5) % 3 + 1]) AS segments,
    toUnixTimestamp64Nano(time) AS row_version,
    0 AS deleted,
    toDateTime(time, 'UTC') AS written
FROM numbers({from:UInt64} * 5, {count:UInt64} * 5);

INSERT INTO /*database*/.instances
    (flow, key, version, state, started_at, last_at, first_at, ended_at, end_step, path, path_for, conforming, segments, as_of, row_version, deleted, written)
SELECT
    'bench-stored' AS flow,
    lower(hex(sipHash64(number))) AS key,
    {version:String} AS version,
    'completed' AS state,
    fromUnixTimestamp64Nano({since:Int64} + toInt64(number * intDiv({span:Int64}, {total:Int64})), 'UTC') AS started_at,
    fromUnixTimestamp64Nano(toUnixTimestamp64Nano(started_at) + path_for, 'UTC') AS last_at,
    started_at AS first_at,
    last_at AS ended_at,
    'arrived' AS end_step,
    ['begun', 'paid', 'packed', 'shipped', 'arrived'] AS path,
    1000000 * toInt64(arraySum(arraySlice([120000 + number * 48271 % 240000, 120000 + number * 69621 % 240000, 120000 + number * 40692 % 240000, 120000 + number * 16807 % 240000], 1, 4))) AS path_for,
    true AS conforming,
    map('region', ['EU', 'US', 'APAC'][number % 3 + 1]) AS segments,
    ended_at AS as_of,
    toUnixTimestamp64Nano(ended_at) AS row_version,
    0 AS deleted,
    toDateTime(ended_at, 'UTC') AS written
FROM numbers({from:UInt64}, {count:UInt64});

INSERT INTO /*database*/.engine_left (hash, id, written)
SELECT sipHash64(number, 'left') AS hash, number AS id, toDateTime(intDiv({since:Int64} + toInt64(number * intDiv({span:Int64}, {total:Int64})), 1000000000), 'UTC') AS written
FROM numbers({from:UInt64}, {count:UInt64})
