-- All copies of the signals of which one may carry a key: it is stored with it, or with a word in place of it, or its value stands
-- in what it says.
SELECT /*columns*/
FROM signals
WHERE (if(kind = 'span', '', source), id) IN (
    SELECT if(kind = 'span', '', source), id
    FROM signals
    WHERE has(keys, {key:String})
        OR has(keys, {erased:String})
        OR NOT erased AND (positionCaseInsensitiveUTF8(attributes, {value:String}) > 0 OR positionCaseInsensitiveUTF8(data, {value:String}) > 0)
)
LIMIT {limit:UInt64}
