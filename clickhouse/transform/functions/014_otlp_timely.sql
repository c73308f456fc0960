-- The time itself; one that is past the retention is counted, since its row will not stay.
CREATE OR REPLACE FUNCTION otlp_timely AS (time, statement) -> if(
    time < now64(9, 'UTC') - toIntervalDay({retention_days:UInt16}),
    addNanoseconds(time, assumeNotNull(otlp_tally(statement, 'past_retention', toString(time)))),
    time)
