-- Whether attributes are what nearly all are: safe or hashed strings, clean ones, and plain numbers. These take
-- otlp_plain_attributes, at a third of the cost; the others take the long way, where every branch is.
CREATE OR REPLACE FUNCTION otlp_is_plain AS (attributes) -> NOT arrayExists(
    (treatment, kind, key, s, d) ->
        treatment IN (3, 4) OR toInt8(kind) > 4 OR (treatment IN (2, 5) AND kind != 'string_value') OR NOT isFinite(d)
        OR (treatment = 0 AND otlp_suspicious(concat(key, '=', s))),
    otlp_treatments((attributes).key), (attributes).value.value, (attributes).key,
    (attributes).value.string_value, (attributes).value.double_value)
