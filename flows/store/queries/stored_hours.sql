-- How many rows stand from some hours on, up to one.
SELECT /*counts*/
FROM steps_by_time
WHERE flow = {flow:String} AND hour BETWEEN {first:Int32} AND {last:Int32}
