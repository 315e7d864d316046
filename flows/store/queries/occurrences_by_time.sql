-- In place of the table in occurrences.sql: the rows of some instances between two hours. Of those of a signal in several hours the
-- latest counts, if it says deleted too.
FROM
(
    SELECT *
    FROM steps_by_time FINAL
    WHERE flow = {flow:String} AND hour BETWEEN {first:Int32} AND {last:Int32} AND key IN (SELECT value FROM wanted_keys)
    ORDER BY key, source, id, step, row_version DESC
    LIMIT 1 BY key, source, id, step
)
WHERE deleted = 0 AND
