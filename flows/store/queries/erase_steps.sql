-- As erase_instances.sql, for the signals of these instances.
INSERT INTO steps
SELECT * REPLACE (concat({token:String}, substring(key, length({value:String}) + 1)) AS key)
FROM (SELECT * FROM (SELECT * FROM steps WHERE /*keys*/ AND row_version < {cutoff:UInt64} ORDER BY row_version DESC LIMIT 1 BY key, source, id, step) WHERE deleted = 0)
UNION ALL
SELECT * REPLACE ({cutoff:UInt64} AS row_version, toUInt8(1) AS deleted)
FROM (SELECT * FROM (SELECT * FROM steps WHERE /*keys*/ AND row_version < {cutoff:UInt64} ORDER BY row_version DESC LIMIT 1 BY key, source, id, step) WHERE deleted = 0)
