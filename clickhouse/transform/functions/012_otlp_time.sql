-- A time from nanoseconds since 1970. A time after 2262, which DateTime64(9) cannot hold, becomes its last moment.
CREATE OR REPLACE FUNCTION otlp_time AS (nanoseconds) ->
    fromUnixTimestamp64Nano(toInt64(least(nanoseconds, 9223372036854775807)), 'UTC')
