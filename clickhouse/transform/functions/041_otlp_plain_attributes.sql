-- Plain attributes (otlp_is_plain) as a private map.
CREATE OR REPLACE FUNCTION otlp_plain_attributes AS (attributes, hash_key) -> otlp_sorted(
    (attributes).key,
    arrayMap(
        (treatment, kind, s, i, d, b) -> multiIf(
            treatment IN (2, 5), otlp_hash(s, hash_key),
            kind = 'string_value', s,
            kind = 'int_value', toString(i),
            kind = 'double_value', otlp_double(d),
            kind = 'bool_value', if(b, 'true', 'false'),
            ''),
        otlp_treatments((attributes).key), (attributes).value.value, (attributes).value.string_value,
        (attributes).value.int_value, (attributes).value.double_value, (attributes).value.bool_value))
