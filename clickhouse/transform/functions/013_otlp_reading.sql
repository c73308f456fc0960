-- The value of a number data point. Flag 1 says that nothing was recorded, whatever stands there.
-- Source: https://opentelemetry.io/docs/specs/otel/metrics/data-model/#no-recorded-value
CREATE OR REPLACE FUNCTION otlp_reading AS (point) -> if(bitAnd((point).flags, 1) = 1, nan, otlp_number(point))
