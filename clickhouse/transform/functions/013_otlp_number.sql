-- The value of a number data point or an exemplar: integers become Float64. NaN says that it has none, which 0 would not.
CREATE OR REPLACE FUNCTION otlp_number AS (point) -> multiIf(
    (point).value = 'as_int', toFloat64((point).as_int), (point).value = 'as_double', (point).as_double, nan)
