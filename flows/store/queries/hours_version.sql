-- The latest version of a flow's rows that start in some hours.
SELECT max(row_version) FROM steps_by_time WHERE flow = {flow:String} AND hour BETWEEN {first:Int32} AND {last:Int32}
