SELECT id, text FROM engine_state FINAL WHERE kind = {kind:String} ORDER BY id
