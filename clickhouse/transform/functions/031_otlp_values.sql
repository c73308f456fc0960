-- Every attribute's value as private text, whatever it is. A string goes by the rule for its key; one that no
-- rule names is redacted when `key=value` matches a pattern, so that a key can give its value away
-- (`db.password`). Numbers are not text: they stay as they are, unless their key is hashed. What is neither
-- (arrays, key-value lists, hashed numbers, infinities) goes to receiver/scrub.py, as do the few strings that a
-- pattern matches. The functions called there get an argument made by concat(), since the engine calls a
-- function for the rows of its branch alone only when an argument is costly to make.
CREATE OR REPLACE FUNCTION otlp_values AS (attributes, hash_key, statement) -> arrayMap(
    (key, treatment, kind, s, i, d, b, bytes, list, map) -> multiIf(
        kind = 'string_value', multiIf(
            treatment = 1, s,
            treatment IN (2, 5), otlp_hash(s, hash_key),
            treatment = 3, assumeNotNull(otlp_excerpt(statement, key, concat(s, ''))),
            otlp_suspicious(concat(key, '=', s)), assumeNotNull(otlp_redact_attribute(statement, key, concat(s, ''))),
            s),
        treatment IN (2, 5) OR kind IN ('array_value', 'kvlist_value') OR NOT isFinite(d),
            assumeNotNull(otlp_other(statement, key,
                concat(toString(kind), ' ', toString(i), ' ', hex(d), ' ', hex(b), ' ', hex(bytes), ' ', hex(list), ' ', hex(map)))),
        kind = 'int_value', toString(i),
        kind = 'double_value', otlp_double(d),
        kind = 'bool_value', if(b, 'true', 'false'),
        base64Encode(bytes)),
    (attributes).key, otlp_treatments((attributes).key), (attributes).value.value, (attributes).value.string_value,
    (attributes).value.int_value, (attributes).value.double_value, (attributes).value.bool_value,
    (attributes).value.bytes_value, (attributes).value.array_value, (attributes).value.kvlist_value)
