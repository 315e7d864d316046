-- One page of the signals that carry one of some keys, or that are steps of some instances (a trace or a link led them
-- there), one copy of each: of copies that differ the earliest. The order is that of signals: time, sequence (numbers
-- first, by number; absent last), system, id. At the mark, by what those of the keys are found.
SELECT /*columns*/
FROM
(
    SELECT
        *,
        multiIf(sequence = '', 2, match(sequence, '^-?[0-9]+$'), 0, 1) AS class, -- as flows.SequenceOrder
        replaceRegexpOne(sequence, '^-?0*', '') AS number,
        multiIf(class != 0, sequence, startsWith(sequence, '-'), translate(number, '0123456789', '9876543210'), number) AS digits,
        if(class = 0, toInt64(length(digits)) * if(startsWith(sequence, '-'), -1, 1), 0) AS size
    FROM
    (
        /*found*/
    )
    ORDER BY time, attributes, data, received
    LIMIT 1 BY if(kind = 'span', '', source), id
)
WHERE {begin:UInt8} = 1
    OR (toUnixTimestamp64Nano(time), class, size, digits, system, id, source)
        > ({time:Int64}, {class:UInt8}, {size:Int64}, {digits:String}, {system:String}, {id:String}, {source:String})
ORDER BY time, class, size, digits, system, id, source
LIMIT {limit:UInt32}
