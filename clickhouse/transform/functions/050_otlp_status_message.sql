-- A span's status message, under the rules for the key `status.message`.
CREATE OR REPLACE FUNCTION otlp_status_message AS (text, hash_key, statement) -> multiIf(
    text = '', '',
    {status_message:UInt8} = 1, text,
    {status_message:UInt8} = 2, otlp_hash(text, hash_key),
    {status_message:UInt8} = 3, assumeNotNull(otlp_excerpt(statement, 'status.message', text)),
    {status_message:UInt8} = 4, '',
    otlp_clean(text, statement))
