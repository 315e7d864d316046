-- By what repeats of erased signals are known, as hashes of (source, id); of spans (trace id, span id).
CREATE TABLE IF NOT EXISTS {{.Database}}.erased_signals{{.OnCluster}}
(
    token    String,
    identity String COMMENT 'the first 16 bytes of its SHA-256',
    written  DateTime('UTC') DEFAULT now()
)
ENGINE = {{engine "ReplacingMergeTree"}}
ORDER BY (token, identity)
TTL written + INTERVAL 800 DAY
