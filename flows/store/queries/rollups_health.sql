-- What the roll-ups of whole minutes say between two, in seconds: by whole hours where there are some in between.
SELECT toString(measure), toString(step), toString(to_step), bin, toInt64(sum(count)) AS counted, sum(sum) AS total
FROM rollups
WHERE flow = {flow:String} AND generation = {generation:UInt64} AND (
    span = 60 AND start >= toDateTime64({first:Int64}, 0, 'UTC') AND start < toDateTime64({hour:Int64}, 0, 'UTC')
    OR span = 3600 AND start >= toDateTime64({hour:Int64}, 0, 'UTC') AND start < toDateTime64({late:Int64}, 0, 'UTC')
    OR span = 60 AND start >= toDateTime64({late:Int64}, 0, 'UTC') AND start < toDateTime64({to:Int64}, 0, 'UTC'))
GROUP BY measure, step, to_step, bin
HAVING counted != 0 OR total != 0
ORDER BY measure, step, to_step, bin
