-- The signals that are steps of the instances of some flows that have a key.
SELECT toUnixTimestamp64Nano(start_time), source, id
FROM steps FINAL
WHERE flow IN {flows:Array(String)} AND key = {key:String}
SETTINGS optimize_move_to_prewhere_if_final = 1
