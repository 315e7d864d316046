-- Puts a word in place of the value of a primary key, and takes back what stood under the value, in one insert: nobody sees both, or
-- none. Rows of the cutoff's version and later are of what came since.
INSERT INTO instances
SELECT * REPLACE (concat({token:String}, substring(key, length({value:String}) + 1)) AS key)
FROM (SELECT * FROM (SELECT * FROM instances WHERE /*keys*/ AND row_version < {cutoff:UInt64} ORDER BY row_version DESC LIMIT 1 BY key) WHERE deleted = 0)
UNION ALL
SELECT * REPLACE ({cutoff:UInt64} AS row_version, toUInt8(1) AS deleted)
FROM (SELECT * FROM (SELECT * FROM instances WHERE /*keys*/ AND row_version < {cutoff:UInt64} ORDER BY row_version DESC LIMIT 1 BY key) WHERE deleted = 0)
