SELECT id, text FROM engine_state FINAL
WHERE kind = 'evicted' AND id IN (SELECT id FROM engine_left WHERE hash IN (SELECT hash FROM wanted))
