-- In the order of the table, so that nothing is kept to leave out what stands there twice: the reader does.
SELECT hash FROM engine_left ORDER BY hash
