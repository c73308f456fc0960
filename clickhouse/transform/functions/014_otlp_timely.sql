-- The time, unchanged. A time past the table's TTL is counted, since ClickHouse will remove its row.
CREATE OR REPLACE FUNCTION otlp_timely AS (time, statement) -> if(
    time < toStartOfDay(now('UTC')) - toIntervalDay({retention_days:UInt16}),
    addNanoseconds(time, assumeNotNull(otlp_tally(statement, 'past_retention', toString(time)))),
    time)
