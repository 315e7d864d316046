-- Whether steps_by_time has what steps has: what was there before it was made was put into it too, or there is no more of that.
SELECT
    ifNull((SELECT minOrNull(written) FROM steps_by_time) <= made, 0) OR ifNull((SELECT minOrNull(written) FROM steps) >= made, 1)
FROM (SELECT min(applied) AS made FROM schema_migrations WHERE endsWith(name, '_steps_by_time_view'))
