-- The signals that flows can use: of the wanted names, or with a key of a wanted type.
SELECT /*columns*/
FROM signals
WHERE name IN (SELECT value FROM wanted_names)
    OR arrayExists(k -> substring(k, 1, position(k, ':') - 1) IN (SELECT value FROM wanted_types), keys)
