-- How many rows stand from some hours on, up to one, and how many the flow has in all.
SELECT /*counts*/, (SELECT count() FROM steps WHERE flow = {flow:String})
FROM steps_by_time
WHERE flow = {flow:String} AND hour BETWEEN {first:Int32} AND {last:Int32}
