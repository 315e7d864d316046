-- Up to which position of a stream the rows of a reader are stored; the last saved counts.
CREATE TABLE IF NOT EXISTS {{.Database}}.checkpoints{{.OnCluster}}
(
    name  String,
    seq   UInt64,
    saved DateTime64(9, 'UTC') DEFAULT now64(9)
)
ENGINE = {{engine "ReplacingMergeTree(saved)"}}
ORDER BY name
