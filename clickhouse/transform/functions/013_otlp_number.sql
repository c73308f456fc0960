-- The value of a number data point or an exemplar: integers become Float64, an unset one is 0.
CREATE OR REPLACE FUNCTION otlp_number AS (point) ->
    if((point).value = 'as_int', toFloat64((point).as_int), (point).as_double)
