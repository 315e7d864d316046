-- What was stored before the index. Skipped where nothing was: IF EXISTS makes it harmless to run again.
ALTER TABLE {{.Database}}.signals{{.OnCluster}} MATERIALIZE INDEX IF EXISTS idx_received
