-- The time itself; one that is past the table's TTL is counted, since its row will not stay.
CREATE OR REPLACE FUNCTION otlp_timely AS (time, statement) -> if(
    time < toStartOfDay(now('UTC')) - toIntervalDay({retention_days:UInt16}),
    addNanoseconds(time, assumeNotNull(otlp_tally(statement, 'past_retention', toString(time)))),
    time)
