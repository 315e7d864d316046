-- What was stored before the index.
ALTER TABLE {{.Database}}.signals{{.OnCluster}} MATERIALIZE INDEX IF EXISTS idx_system
