-- Whether steps_by_time and instances_by_time have all rows, said once: to find it out, all rows are read. It is so where what was there
-- before them was put into them too. (Where it is not, that is looked at again: those rows end.)
INSERT INTO {{.Database}}.checkpoints (name, seq)
SELECT 'rows by time', 1
WHERE
    ifNull((SELECT minOrNull(written) FROM {{.Database}}.steps_by_time) <= (SELECT min(applied) FROM {{.Database}}.schema_migrations WHERE endsWith(name, '_steps_by_time_view')), 0)
    OR ifNull((SELECT minOrNull(written) FROM {{.Database}}.steps) >= (SELECT min(applied) FROM {{.Database}}.schema_migrations WHERE endsWith(name, '_steps_by_time_view')), 1)
