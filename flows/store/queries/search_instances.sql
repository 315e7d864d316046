-- Those of some instances that are there, in any order.
SELECT flow, key, state
FROM instances FINAL
WHERE (flow, key) IN (
    SELECT substring(value, 1, position(value, '\0') - 1), substring(value, position(value, '\0') + 1)
    FROM wanted_keys
)
SETTINGS optimize_move_to_prewhere_if_final = 1
