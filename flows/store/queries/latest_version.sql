SELECT max(version)
FROM
(
    SELECT max(row_version) AS version FROM instances
    UNION ALL SELECT max(row_version) FROM steps
    UNION ALL SELECT max(row_version) FROM engine_state
)
