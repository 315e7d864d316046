-- What is stored of a flow's instances.
SELECT /*columns*/
FROM instances FINAL
WHERE flow = {flow:String}
ORDER BY key
