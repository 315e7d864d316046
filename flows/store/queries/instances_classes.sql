-- The next class that ended instances of a flow are of, and when the first of it began. At the mark, behind which class.
SELECT class, toUnixTimestamp64Nano(began) AS at
FROM instances_by_time
WHERE flow = {flow:String} /*behind*/
ORDER BY class, began
LIMIT 1
