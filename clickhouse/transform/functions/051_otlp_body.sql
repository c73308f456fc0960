-- A log record's body, as an attribute's text is made; a string is redacted, it has no key to go by.
CREATE OR REPLACE FUNCTION otlp_body AS (body, statement) -> multiIf(
    (body).value = 'string_value', otlp_clean(body.string_value, statement),
    (body).value = 'int_value', toString(body.int_value),
    (body).value = 'double_value', otlp_double(body.double_value),
    (body).value = 'bool_value', if(body.bool_value, 'true', 'false'),
    (body).value = 'array_value', assumeNotNull(otlp_nested(statement, '', 'array', base64Encode(body.array_value))),
    (body).value = 'kvlist_value', assumeNotNull(otlp_nested(statement, '', 'kvlist', base64Encode(body.kvlist_value))),
    (body).value = 'bytes_value', base64Encode(body.bytes_value),
    '')
