-- What was stored before the index.
ALTER TABLE {{.Database}}.spans{{.OnCluster}} MATERIALIZE INDEX IF EXISTS idx_received
