-- Those of some instances of a flow that are of a list, as they are now. At the mark, the keys, and what depends on the question.
SELECT /*columns*/
FROM instances FINAL
WHERE flow = {flow:String} /*keys*/
    AND ifNull(toUnixTimestamp64Nano(last_at) >= {since:Int64}, 0)
SETTINGS optimize_move_to_prewhere_if_final = 1
