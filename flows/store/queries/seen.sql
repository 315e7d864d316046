-- The names that signals carried lately, latest first, with the names of their attributes and fields. Copies count.
SELECT
    kind,
    name,
    source,
    count() AS signals,
    toUnixTimestamp64Nano(max(received)) AS last,
    toUnixTimestamp64Nano(min(time)) AS first,
    arraySort(groupUniqArrayArray(200)(arrayConcat(JSONExtractKeys(attributes), JSONExtractKeys(data)))) AS fields
FROM signals
WHERE received >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
GROUP BY kind, name, source
ORDER BY last DESC, name, source, kind
LIMIT {limit:UInt32}
