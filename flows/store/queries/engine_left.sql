SELECT DISTINCT hash FROM engine_left
