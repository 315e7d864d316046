-- One instance as it is now.
SELECT /*columns*/
FROM instances FINAL
WHERE flow = {flow:String} AND key = {key:String}
SETTINGS optimize_move_to_prewhere_if_final = 1
