-- 0001_database
CREATE DATABASE IF NOT EXISTS throughline ENGINE = Atomic

-- 0002_schema_migrations
-- What was applied. Two processes that migrate at once record a name twice; that is one row after a merge.
CREATE TABLE IF NOT EXISTS throughline.schema_migrations
(
    name    String,
    applied DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree
ORDER BY name

-- 0003_spans
-- Columns and names of the OpenTelemetry ClickHouse exporter's otel_traces, so that its dashboards and tools read this
-- table; Received is ours. Sorted for their top query, one service's spans of one name over a time; a trace is found by
-- its index. Replacing by trace and span id (equal spans agree on the columns before them); a query counts distinct.
CREATE TABLE IF NOT EXISTS throughline.spans
(
    Timestamp          DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId            String CODEC(ZSTD(1)),
    SpanId             String CODEC(ZSTD(1)),
    ParentSpanId       String CODEC(ZSTD(1)),
    TraceState         String CODEC(ZSTD(1)),
    SpanName           LowCardinality(String),
    SpanKind           LowCardinality(String),
    ServiceName        LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName          LowCardinality(String),
    ScopeVersion       LowCardinality(String),
    SpanAttributes     Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration           UInt64 COMMENT 'nanoseconds',
    StatusCode         LowCardinality(String),
    StatusMessage      String CODEC(ZSTD(1)),
    Events             Nested
    (
        Timestamp  DateTime64(9),
        Name       LowCardinality(String),
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Links              Nested
    (
        TraceId    String,
        SpanId     String,
        TraceState String,
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Received           DateTime('UTC') CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_timestamp Timestamp TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(Received, 'UTC')
PRIMARY KEY (ServiceName, SpanName, toDateTime(Timestamp, 'UTC'))
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp, 'UTC'), TraceId, SpanId)
TTL Received + INTERVAL 14 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000

-- 0004_logs
-- Columns and names of the OpenTelemetry ClickHouse exporter's otel_logs; Received is ours. Sorted for the top query,
-- one service's records over a time; those of a trace are found by its index.
CREATE TABLE IF NOT EXISTS throughline.logs
(
    Timestamp          DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimestampTime      DateTime('UTC') DEFAULT toDateTime(Timestamp, 'UTC'),
    TraceId            String CODEC(ZSTD(1)),
    SpanId             String CODEC(ZSTD(1)),
    TraceFlags         UInt8,
    SeverityText       LowCardinality(String),
    SeverityNumber     UInt8,
    ServiceName        LowCardinality(String),
    Body               String CODEC(ZSTD(1)),
    ResourceSchemaUrl  LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl     LowCardinality(String),
    ScopeName          LowCardinality(String),
    ScopeVersion       LowCardinality(String),
    ScopeAttributes    Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes      Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName          String,
    Received           DateTime('UTC') CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Received, 'UTC')
ORDER BY (ServiceName, TimestampTime, Timestamp)
TTL Received + INTERVAL 14 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000

-- 0005_signals
-- Every event, and the spans that a flow can use. Sorted for restores and backfills, which read whole names; the
-- timeline of a key is found by its index: has(keys, 'order_id:4711'). A copy is a second row: (source, id) for events,
-- (trace_id, span_id) for spans tell. One with a key or a trace may be part of an instance and lives as long as those do.
CREATE TABLE IF NOT EXISTS throughline.signals
(
    received    DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    time        DateTime64(9, 'UTC') COMMENT 'of an event; start of a span' CODEC(Delta, ZSTD(1)),
    duration    Int64 COMMENT 'nanoseconds' CODEC(ZSTD(1)),
    kind        Enum8('event' = 0, 'span' = 1),
    name        LowCardinality(String),
    source      LowCardinality(String),
    id          String CODEC(ZSTD(1)),
    system      LowCardinality(String),
    environment LowCardinality(String),
    outcome     Enum8('ok' = 0, 'error' = 1),
    sequence    String CODEC(ZSTD(1)),
    trace_id    String CODEC(ZSTD(1)),
    span_id     String CODEC(ZSTD(1)),
    parent_id   String CODEC(ZSTD(1)),
    keys        Array(String) COMMENT 'type:value' CODEC(ZSTD(1)),
    attributes  String COMMENT 'JSON object; empty for none' CODEC(ZSTD(1)),
    data        String COMMENT 'JSON object; empty for none' CODEC(ZSTD(1)),
    as_of       DateTime64(9, 'UTC') COMMENT 'clock of the import; 1970-01-01 for a live signal' CODEC(Delta, ZSTD(1)),
    INDEX idx_keys keys TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(received, 'UTC')
ORDER BY (name, time)
TTL toDateTime(received, 'UTC') + INTERVAL 90 DAY DELETE WHERE empty(keys) AND trace_id = '',
    toDateTime(received, 'UTC') + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000

-- 0006_instances
-- The last known state of each instance: read with FINAL, which leaves the row with the greatest row_version, if it is not
-- deleted. Sorted for the top queries, a flow's list and one instance. NULL is a time that is not known or never comes.
-- amount is exact, as text (amounts have no common scale); amount_sort is for order only.
CREATE TABLE IF NOT EXISTS throughline.instances
(
    flow        LowCardinality(String),
    key         String,
    version     LowCardinality(String) COMMENT 'of the flow file',
    state       LowCardinality(String),
    reason      LowCardinality(String),
    reason_step LowCardinality(String),
    system      LowCardinality(String) COMMENT 'of reason_step',
    stuck_since Nullable(DateTime64(9, 'UTC')),
    stuck_for   Int64 COMMENT 'nanoseconds',
    recovered   Bool,
    started_at  Nullable(DateTime64(9, 'UTC')),
    last_at     Nullable(DateTime64(9, 'UTC')),
    ended_at    Nullable(DateTime64(9, 'UTC')),
    end_step    LowCardinality(String),
    waiting_on  Nested
    (
        step     LowCardinality(String),
        system   LowCardinality(String),
        due_at   Nullable(DateTime64(9, 'UTC')),
        deadline Nullable(DateTime64(9, 'UTC'))
    ),
    path        Array(LowCardinality(String)) COMMENT 'steps in the order of their signals',
    deviations  Array(LowCardinality(String)),
    conforming  Bool,
    amount      Nullable(String),
    amount_sort Nullable(Float64) MATERIALIZED toFloat64OrNull(amount),
    currency    LowCardinality(String),
    segments    Map(LowCardinality(String), String),
    as_of       Nullable(DateTime64(9, 'UTC')) COMMENT 'instant of the verdict',
    imported    Bool,
    deleted     UInt8 COMMENT 'all its signals turned out to belong elsewhere',
    row_version UInt64,
    written     DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(row_version, deleted)
ORDER BY (flow, key)
TTL written + INTERVAL 400 DAY DELETE WHERE isNotNull(ended_at)

-- 0007_steps
-- One row for each signal of an instance that is a step of it: what the fold needs to answer for any instant. Read with
-- FINAL, which leaves out the deleted. Sorted for the top queries, one instance and a flow in hindsight. Kept twice as
-- long as ended instances, so that it outlives an instance that was in flight for as long as those are kept.
CREATE TABLE IF NOT EXISTS throughline.steps
(
    flow        LowCardinality(String),
    key         String CODEC(ZSTD(1)),
    source      String COMMENT 'with id: the identity of the signal' CODEC(ZSTD(1)),
    id          String CODEC(ZSTD(1)),
    step        LowCardinality(String),
    time        DateTime64(9, 'UTC') COMMENT 'when the step occurred: end of a span' CODEC(Delta, ZSTD(1)),
    start_time  DateTime64(9, 'UTC') COMMENT 'start of a span; else time' CODEC(Delta, ZSTD(1)),
    outcome     Enum8('ok' = 0, 'error' = 1),
    sequence    String CODEC(ZSTD(1)),
    system      LowCardinality(String),
    as_of       DateTime64(9, 'UTC') COMMENT 'clock of the import; 1970-01-01 for a live signal' CODEC(Delta, ZSTD(1)),
    hash        UInt64 COMMENT 'of the content: which of two copies counts',
    amount      Nullable(String),
    currency    LowCardinality(String),
    segments    Map(LowCardinality(String), String),
    row_version UInt64 CODEC(Delta, ZSTD(1)),
    deleted     UInt8 COMMENT 'no longer a signal of this instance',
    written     DateTime('UTC') DEFAULT now() CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version, deleted)
ORDER BY (flow, key, source, id, step)
TTL written + INTERVAL 800 DAY

-- 0008_flow_versions
-- Every flow file that ever ran; the current one of a flow is the last loaded.
CREATE TABLE IF NOT EXISTS throughline.flow_versions
(
    flow       LowCardinality(String),
    version    String COMMENT 'hash of the file',
    definition String COMMENT 'the file' CODEC(ZSTD(1)),
    loaded     DateTime64(9, 'UTC') DEFAULT now64(9)
)
ENGINE = ReplacingMergeTree(loaded)
ORDER BY (flow, version)

-- 0009_checkpoints
-- Up to which position of a stream the rows of a reader are stored; the last saved counts.
CREATE TABLE IF NOT EXISTS throughline.checkpoints
(
    name  String,
    seq   UInt64,
    saved DateTime64(9, 'UTC') DEFAULT now64(9)
)
ENGINE = ReplacingMergeTree(saved)
ORDER BY name

-- 0010_held_and_counted
-- What holds an instance, and of each step that is due how many children are expected (0 in rows from before: one) and
-- were seen.
ALTER TABLE throughline.instances
    ADD COLUMN IF NOT EXISTS waiting_on.expected Array(UInt32) AFTER waiting_on.deadline,
    ADD COLUMN IF NOT EXISTS waiting_on.seen Array(UInt32) AFTER waiting_on.expected,
    ADD COLUMN IF NOT EXISTS hold LowCardinality(String) COMMENT 'id of the hold, or downtime' AFTER imported,
    ADD COLUMN IF NOT EXISTS held_since Nullable(DateTime64(9, 'UTC')) AFTER hold,
    ADD COLUMN IF NOT EXISTS held_until Nullable(DateTime64(9, 'UTC')) COMMENT 'NULL where no end is known' AFTER held_since,
    ADD COLUMN IF NOT EXISTS reopened Bool COMMENT 'had ended, and then more was expected' AFTER held_until

-- 0011_children
-- What a step with children needs of each signal, so that it can be folded for any instant.
ALTER TABLE throughline.steps
    ADD COLUMN IF NOT EXISTS child String COMMENT 'which of several it is' CODEC(ZSTD(1)) AFTER segments,
    ADD COLUMN IF NOT EXISTS expect Map(LowCardinality(String), String) COMMENT 'how many are due, by attribute' AFTER child

-- 0012_spans_codecs
-- Compression that costs little, because ClickHouse compresses each span several times: when it is inserted and in each
-- merge. ZSTD made 0.7 CPU-seconds of a million spans more and a quarter of the disk less.
ALTER TABLE throughline.spans
    MODIFY COLUMN IF EXISTS Timestamp CODEC(Delta, LZ4),
    MODIFY COLUMN IF EXISTS TraceId CODEC(LZ4),
    MODIFY COLUMN IF EXISTS SpanId CODEC(LZ4),
    MODIFY COLUMN IF EXISTS ParentSpanId CODEC(LZ4),
    MODIFY COLUMN IF EXISTS TraceState CODEC(LZ4),
    MODIFY COLUMN IF EXISTS ResourceAttributes CODEC(LZ4),
    MODIFY COLUMN IF EXISTS SpanAttributes CODEC(LZ4),
    MODIFY COLUMN IF EXISTS StatusMessage CODEC(LZ4),
    MODIFY COLUMN IF EXISTS `Events.Timestamp` CODEC(LZ4),
    MODIFY COLUMN IF EXISTS `Events.Name` CODEC(LZ4),
    MODIFY COLUMN IF EXISTS `Events.Attributes` CODEC(LZ4),
    MODIFY COLUMN IF EXISTS `Links.TraceId` CODEC(LZ4),
    MODIFY COLUMN IF EXISTS `Links.SpanId` CODEC(LZ4),
    MODIFY COLUMN IF EXISTS `Links.TraceState` CODEC(LZ4),
    MODIFY COLUMN IF EXISTS `Links.Attributes` CODEC(LZ4),
    MODIFY COLUMN IF EXISTS Received CODEC(Delta, LZ4)

-- 0013_engine_state
-- What the engine restarts from: components of its state (kind component), those that left memory (evicted), the names
-- (name, by number) and the frame (0 key of the hashes, 1 definitions) by which they are read. Written by the engine and read by
-- it alone; nothing here is needed that could not be made from the signals. Sorted for the restart, and one component that returns.
CREATE TABLE IF NOT EXISTS throughline.engine_state
(
    kind        LowCardinality(String),
    id          UInt64,
    text        String CODEC(ZSTD(1)),
    row_version UInt64 CODEC(Delta, ZSTD(1)),
    deleted     UInt8,
    written     DateTime('UTC') DEFAULT now() CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version, deleted)
ORDER BY (kind, id)
TTL written + INTERVAL 400 DAY DELETE WHERE kind = 'evicted'

-- 0014_engine_left
-- By which keys and traces, as hashes, the components are found that left the engine's memory. Sorted for that search.
CREATE TABLE IF NOT EXISTS throughline.engine_left
(
    hash    UInt64,
    id      UInt64 COMMENT 'in engine_state, kind evicted',
    written DateTime('UTC') DEFAULT now() CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (hash, id)
TTL written + INTERVAL 400 DAY

-- 0015_signals_received
-- Finds what came lately: rows stand by name and time, so that those of one hour are neighbours.
ALTER TABLE throughline.signals
    ADD INDEX IF NOT EXISTS idx_received received TYPE minmax GRANULARITY 1

-- 0016_spans_received
-- Finds what came lately: rows stand by service, name and time, so that those of one hour are neighbours.
ALTER TABLE throughline.spans
    ADD INDEX IF NOT EXISTS idx_received Received TYPE minmax GRANULARITY 1

-- 0017_signals_received_before
-- What was stored before the index. Skipped where nothing was: IF EXISTS makes it harmless to run again.
ALTER TABLE throughline.signals MATERIALIZE INDEX IF EXISTS idx_received

-- 0018_spans_received_before
-- What was stored before the index.
ALTER TABLE throughline.spans MATERIALIZE INDEX IF EXISTS idx_received

-- 0019_versions_refer
-- With each version of a flow, what its file refers to in others: the calendars and planned downtime that count in its hash.
ALTER TABLE throughline.flow_versions
    ADD COLUMN IF NOT EXISTS referred String COMMENT 'calendars and downtime, as JSON' CODEC(ZSTD(1)) AFTER definition

-- 0020_signals_system
-- Finds the last word of a system that is silent, and that one was never heard: rows stand by name, and a name is of few systems.
ALTER TABLE throughline.signals
    ADD INDEX IF NOT EXISTS idx_system system TYPE set(64) GRANULARITY 4

-- 0021_signals_system_before
-- What was stored before the index.
ALTER TABLE throughline.signals MATERIALIZE INDEX IF EXISTS idx_system

-- 0022_sampled
-- Spans whose producer sends only some of its spans: that another one is missing proves nothing.
ALTER TABLE throughline.signals
    ADD COLUMN IF NOT EXISTS sampled Bool COMMENT 'a span of a producer that samples' CODEC(ZSTD(1)) AFTER as_of

-- 0023_steps_sampled
-- What the fold needs of it.
ALTER TABLE throughline.steps
    ADD COLUMN IF NOT EXISTS sampled Bool COMMENT 'of a producer that samples' CODEC(ZSTD(1)) AFTER hash

-- 0024_steps_by_time
-- The rows of steps again, by the hour in which they start: what is asked of a past instant lies together, where steps has it all
-- over. start_time only ever gets earlier (of copies that differ the earliest counts), so that up to an hour the latest row of a
-- signal is found with those it replaces. deleted rows stay, since they may replace a row of another hour: whoever reads takes
-- the latest by (key, source, id, step).
CREATE TABLE IF NOT EXISTS throughline.steps_by_time
(
    flow        LowCardinality(String),
    hour        Int32 COMMENT 'of start_time, since 1970' CODEC(Delta, ZSTD(1)),
    key         String CODEC(ZSTD(1)),
    source      String CODEC(ZSTD(1)),
    id          String CODEC(ZSTD(1)),
    step        LowCardinality(String),
    time        DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    start_time  DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    outcome     Enum8('ok' = 0, 'error' = 1),
    sequence    String CODEC(ZSTD(1)),
    system      LowCardinality(String),
    as_of       DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    hash        UInt64,
    sampled     Bool,
    amount      Nullable(String),
    currency    LowCardinality(String),
    segments    Map(LowCardinality(String), String),
    child       String CODEC(ZSTD(1)),
    expect      Map(LowCardinality(String), String),
    row_version UInt64 CODEC(Delta, ZSTD(1)),
    deleted     UInt8,
    written     DateTime('UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (flow, hour, key, source, id, step)
TTL written + INTERVAL 800 DAY

-- 0025_steps_by_time_view
-- Each row of steps, as it is inserted.
CREATE MATERIALIZED VIEW IF NOT EXISTS throughline.steps_to_time TO throughline.steps_by_time AS
SELECT
    flow, toInt32(intDiv(toUnixTimestamp64Nano(start_time), 3600000000000)) AS hour, key, source, id, step, time, start_time, outcome, sequence,
    system, as_of, hash, sampled, amount, currency, segments, child, expect, row_version, deleted, written
FROM throughline.steps

-- 0026_steps_by_time_before
-- What was stored before, where that takes seconds. Where it was more, steps alone goes on to be read: the oldest row tells.
INSERT INTO throughline.steps_by_time
SELECT
    flow, toInt32(intDiv(toUnixTimestamp64Nano(start_time), 3600000000000)) AS hour, key, source, id, step, time, start_time, outcome, sequence,
    system, as_of, hash, sampled, amount, currency, segments, child, expect, row_version, deleted, written
FROM throughline.steps
WHERE (SELECT count() FROM throughline.steps) <= 20000000

-- 0027_instances_first
-- When an instance began, for lists by time, and how long its path took. NULL and 0 in rows from before.
ALTER TABLE throughline.instances
    ADD COLUMN IF NOT EXISTS first_at Nullable(DateTime64(9, 'UTC')) COMMENT 'start of its first signal, of a hold too' AFTER last_at,
    ADD COLUMN IF NOT EXISTS path_for Int64 COMMENT 'nanoseconds from the first to the last of path' AFTER path

-- 0028_instances_by_time
-- Which instances ended, by how long they were there and since when: of one class, those of an instant began within 2^class s before
-- it, so that all are found in a few narrow ranges. A place is of any row that an instance had: whoever reads looks at its signals.
CREATE TABLE IF NOT EXISTS throughline.instances_by_time
(
    flow        LowCardinality(String),
    class       UInt8 COMMENT 'until is less than 2^class seconds after began; 64 more where first_at was not known',
    began       DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    key         String CODEC(ZSTD(1)),
    until       DateTime64(9, 'UTC') COMMENT 'its end, or a signal after it' CODEC(Delta, ZSTD(1)),
    row_version UInt64 CODEC(Delta, ZSTD(1)),
    written     DateTime('UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (flow, class, began, key)
TTL written + INTERVAL 400 DAY

-- 0029_instances_by_time_view
-- Each row of instances that ended, as it is inserted.
CREATE MATERIALIZED VIEW IF NOT EXISTS throughline.instances_to_time TO throughline.instances_by_time AS
SELECT
    flow,
    toUInt8(if(isNull(first_at), 64, 0) + least(63, ceil(log2(1 + intDiv(toUnixTimestamp64Nano(until) - toUnixTimestamp64Nano(began), 1000000000))))) AS class,
    assumeNotNull(coalesce(first_at, started_at, ended_at)) AS began,
    key,
    greatest(assumeNotNull(ended_at), ifNull(last_at, assumeNotNull(ended_at)), began) AS until,
    row_version,
    written
FROM throughline.instances
WHERE isNotNull(ended_at)

-- 0030_instances_by_time_before
-- What was stored before, where that takes seconds, as with steps.
INSERT INTO throughline.instances_by_time
SELECT
    flow,
    toUInt8(if(isNull(first_at), 64, 0) + least(63, ceil(log2(1 + intDiv(toUnixTimestamp64Nano(until) - toUnixTimestamp64Nano(began), 1000000000))))) AS class,
    assumeNotNull(coalesce(first_at, started_at, ended_at)) AS began,
    key,
    greatest(assumeNotNull(ended_at), ifNull(last_at, assumeNotNull(ended_at)), began) AS until,
    row_version,
    written
FROM throughline.instances
WHERE isNotNull(ended_at) AND (SELECT count() FROM throughline.steps) <= 20000000

-- 0031_rollups
-- What happened to the instances of a flow, each thing in the minute and the hour of its own instant, as differences that sum
-- up: the engine adds what it learns and takes back what turns out otherwise. Read with sum() and GROUP BY. Only the rows of the
-- generation that rollup_generations names count. Of a distribution (latency, step_latency, edge) each bin holds the durations
-- within 1 % of 1.0202^bin ns, bin -1 those of 0. Sorted for a flow's window.
CREATE TABLE IF NOT EXISTS throughline.rollups
(
    flow       LowCardinality(String),
    generation UInt64,
    span       UInt32 COMMENT 'seconds: 60 or 3600',
    start      DateTime64(0, 'UTC') CODEC(Delta, ZSTD(1)),
    measure    LowCardinality(String),
    step       LowCardinality(String) COMMENT 'of an edge, where it begins',
    to_step    LowCardinality(String) COMMENT 'of an edge, where it ends',
    bin        Int16 CODEC(ZSTD(1)),
    count      Int64 CODEC(ZSTD(1)),
    sum        Int128 COMMENT 'nanoseconds' CODEC(ZSTD(1))
)
ENGINE = SummingMergeTree((count, sum))
ORDER BY (flow, generation, span, start, measure, step, to_step, bin)
SETTINGS non_replicated_deduplication_window = 1000

-- 0032_rollup_generations
-- Which rows of rollups count: those of one generation of a flow, made by one version of its file. They hold all instances
-- that keep no other version where they are whole.
CREATE TABLE IF NOT EXISTS throughline.rollup_generations
(
    flow        String,
    generation  UInt64,
    version     String COMMENT 'of the flow file',
    whole       Bool,
    row_version UInt64
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY flow

-- 0033_erased
-- Signals of which a key was erased: what they said is gone, and their keys are those that they are stored with.
ALTER TABLE throughline.signals
    ADD COLUMN IF NOT EXISTS erased Bool CODEC(ZSTD(1)) AFTER sampled

-- 0034_erasures
-- Keys that were erased, by whom and when: the log of it, and what the next start goes on with where it was not done. value is the
-- key's until then, and empty after.
CREATE TABLE IF NOT EXISTS throughline.erasures
(
    token       String COMMENT 'what stands in place of the value',
    type        LowCardinality(String),
    value       String,
    by          String COMMENT 'name of the token that asked; empty where nobody is asked who they are',
    began       DateTime64(9, 'UTC'),
    done        Bool,
    signals     UInt64 COMMENT 'that carried the key',
    cutoff      UInt64 COMMENT 'rows of instances with a smaller version are of before',
    row_version UInt64
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY token

-- 0035_erased_signals
-- By what repeats of erased signals are known, as hashes of (source, id); of spans (trace id, span id).
CREATE TABLE IF NOT EXISTS throughline.erased_signals
(
    token    String,
    identity String COMMENT 'the first 16 bytes of its SHA-256',
    written  DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree
ORDER BY (token, identity)
TTL written + INTERVAL 800 DAY

-- 0036_rollup_values
-- Single durations of the roll-ups, by the minute, for percentiles of what is rare: differences that sum up, like rollups, which
-- say the same in bins. took is -1 where those of a minute were too many to be told. Sorted for one distribution of a flow.
CREATE TABLE IF NOT EXISTS throughline.rollup_values
(
    flow       LowCardinality(String),
    generation UInt64,
    measure    LowCardinality(String),
    step       LowCardinality(String) COMMENT 'of an edge, where it begins',
    to_step    LowCardinality(String) COMMENT 'of an edge, where it ends',
    start      DateTime64(0, 'UTC') COMMENT 'of the minute' CODEC(Delta, ZSTD(1)),
    took       Int64 COMMENT 'nanoseconds' CODEC(ZSTD(1)),
    count      Int64 CODEC(ZSTD(1))
)
ENGINE = SummingMergeTree(count)
ORDER BY (flow, generation, measure, step, to_step, start, took)
SETTINGS non_replicated_deduplication_window = 1000

-- 0037_otel_traces
-- spans under the name and with exactly the columns that the OpenTelemetry ClickHouse exporter gives them, for tools that ask for
-- these. Nothing is stored twice.
CREATE VIEW IF NOT EXISTS throughline.otel_traces AS
SELECT
    Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes,
    Duration, StatusCode, StatusMessage, `Events.Timestamp`, `Events.Name`, `Events.Attributes`, `Links.TraceId`, `Links.SpanId`, `Links.TraceState`, `Links.Attributes`
FROM throughline.spans

-- 0038_otel_traces_trace_id_ts
-- When each trace was, as the exporter's table of this name says; a condition on TraceId reaches the index of spans.
CREATE VIEW IF NOT EXISTS throughline.otel_traces_trace_id_ts AS
SELECT TraceId, toDateTime(min(Timestamp)) AS Start, toDateTime(max(Timestamp)) AS End
FROM throughline.spans
GROUP BY TraceId

-- 0039_instances_places_view
-- An ended instance stands in lists by its last signal at until, and by its start at began, of its row in instances_by_time. Where it
-- does not, as after a hold or where it ended by the clock, it has two rows more, of classes of their own: began is its last signal in
-- class 128, its start in class 129.
CREATE MATERIALIZED VIEW IF NOT EXISTS throughline.instances_to_places TO throughline.instances_by_time AS
SELECT
    flow,
    place.1 AS class,
    place.2 AS began,
    key,
    greatest(assumeNotNull(ended_at), ifNull(last_at, assumeNotNull(ended_at)), assumeNotNull(coalesce(first_at, started_at, ended_at))) AS until,
    row_version,
    written
FROM throughline.instances
ARRAY JOIN [
    (toUInt8(128), ifNull(last_at, toDateTime64(0, 9, 'UTC'))),
    (toUInt8(129), ifNull(started_at, toDateTime64(0, 9, 'UTC')))
] AS place
WHERE isNotNull(ended_at) AND (
    isNull(last_at) OR isNull(started_at)
    OR last_at != greatest(assumeNotNull(ended_at), ifNull(last_at, assumeNotNull(ended_at)), assumeNotNull(coalesce(first_at, started_at, ended_at)))
    OR started_at != coalesce(first_at, started_at, ended_at)
)

-- 0040_instances_places_before
-- What was stored before: few instances have such rows.
INSERT INTO throughline.instances_by_time
SELECT
    flow,
    place.1 AS class,
    place.2 AS began,
    key,
    greatest(assumeNotNull(ended_at), ifNull(last_at, assumeNotNull(ended_at)), assumeNotNull(coalesce(first_at, started_at, ended_at))) AS until,
    row_version,
    written
FROM throughline.instances
ARRAY JOIN [
    (toUInt8(128), ifNull(last_at, toDateTime64(0, 9, 'UTC'))),
    (toUInt8(129), ifNull(started_at, toDateTime64(0, 9, 'UTC')))
] AS place
WHERE isNotNull(ended_at) AND (
    isNull(last_at) OR isNull(started_at)
    OR last_at != greatest(assumeNotNull(ended_at), ifNull(last_at, assumeNotNull(ended_at)), assumeNotNull(coalesce(first_at, started_at, ended_at)))
    OR started_at != coalesce(first_at, started_at, ended_at)
)

-- 0041_by_time
-- Whether steps_by_time and instances_by_time have all rows, said once: to find it out, all rows are read. It is so where what was there
-- before them was put into them too. (Where it is not, that is looked at again: those rows end.)
INSERT INTO throughline.checkpoints (name, seq)
SELECT 'rows by time', 1
WHERE
    ifNull((SELECT minOrNull(written) FROM throughline.steps_by_time) <= (SELECT min(applied) FROM throughline.schema_migrations WHERE endsWith(name, '_steps_by_time_view')), 0)
    OR ifNull((SELECT minOrNull(written) FROM throughline.steps) >= (SELECT min(applied) FROM throughline.schema_migrations WHERE endsWith(name, '_steps_by_time_view')), 1)

-- 0042_releases
-- When a service began to send spans as a version. The same may stand here again later, written by another process or after a
-- restart: what counts is where the version differs from the one before.
CREATE TABLE IF NOT EXISTS throughline.releases
(
    service     LowCardinality(String) COMMENT 'service.name',
    environment LowCardinality(String) COMMENT 'deployment.environment.name; empty for the default one',
    version     String COMMENT 'service.version',
    at          DateTime64(9, 'UTC') COMMENT 'start of the first span'
)
ENGINE = ReplacingMergeTree
ORDER BY (service, environment, at, version)
TTL toDateTime(at, 'UTC') + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000

