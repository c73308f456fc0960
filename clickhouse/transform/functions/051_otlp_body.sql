-- A log record's body, which is a value without a key: a string is redacted, what is nested by its own keys.
CREATE OR REPLACE FUNCTION otlp_body AS (body, statement) -> multiIf(
    (body).value = 'string_value', otlp_clean((body).string_value, statement),
    (body).value IN ('array_value', 'kvlist_value') OR NOT isFinite((body).double_value),
        assumeNotNull(otlp_other(statement, '',
            concat(toString((body).value), ' 0 ', hex((body).double_value), ' 00  ', hex((body).array_value), ' ', hex((body).kvlist_value)))),
    (body).value = 'int_value', toString((body).int_value),
    (body).value = 'double_value', otlp_double((body).double_value),
    (body).value = 'bool_value', if((body).bool_value, 'true', 'false'),
    base64Encode((body).bytes_value))
