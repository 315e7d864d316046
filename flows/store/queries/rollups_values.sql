-- The single durations of some distributions in the whole minutes between two, in seconds.
SELECT toString(measure), toString(step), toString(to_step), took, toInt64(sum(count)) AS counted
FROM rollup_values
WHERE flow = {flow:String} AND generation = {generation:UInt64}
    AND measure IN {measures:Array(String)} AND step IN {steps:Array(String)}
    AND has(arrayZip({measures:Array(String)}, {steps:Array(String)}, {tos:Array(String)}), (toString(measure), toString(step), toString(to_step)))
    AND start >= toDateTime64({from:Int64}, 0, 'UTC') AND start < toDateTime64({to:Int64}, 0, 'UTC')
GROUP BY measure, step, to_step, took
HAVING counted != 0
LIMIT {limit:UInt64}
