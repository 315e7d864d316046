-- What tells the rows of some instances from others.
SELECT key, source, id, step
FROM steps FINAL
WHERE flow = {flow:String} AND key IN (SELECT value FROM wanted_keys)
