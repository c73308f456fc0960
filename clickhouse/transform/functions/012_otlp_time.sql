-- Nanoseconds since 1970; what DateTime64(9) cannot hold (after 2262) becomes the last moment it can.
CREATE OR REPLACE FUNCTION otlp_time AS (nanoseconds) ->
    fromUnixTimestamp64Nano(toInt64(least(nanoseconds, 9223372036854775807)), 'UTC')
