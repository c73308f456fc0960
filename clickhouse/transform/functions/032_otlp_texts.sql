-- Every AnyValue as text. otlp_nested is receiver/scrub.py: it renders the two recursive kinds.
CREATE OR REPLACE FUNCTION otlp_texts AS (attributes, statement) -> arrayMap(
    (key, kind, s, i, d, b, bytes, list, map) -> multiIf(
        kind = 'string_value', s,
        kind = 'int_value', toString(i),
        kind = 'double_value', otlp_double(d),
        kind = 'bool_value', if(b, 'true', 'false'),
        kind = 'array_value', assumeNotNull(otlp_nested(statement, key, 'array', base64Encode(list))),
        kind = 'kvlist_value', assumeNotNull(otlp_nested(statement, key, 'kvlist', base64Encode(map))),
        kind = 'bytes_value', base64Encode(bytes),
        ''),
    (attributes).key, (attributes).value.value, (attributes).value.string_value, (attributes).value.int_value,
    (attributes).value.double_value, (attributes).value.bool_value, (attributes).value.bytes_value,
    (attributes).value.array_value, (attributes).value.kvlist_value)
