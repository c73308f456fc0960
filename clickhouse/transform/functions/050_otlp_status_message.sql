-- A span's status message, under the rules for the key `status.message`. otlp_clean has the reason for concat().
CREATE OR REPLACE FUNCTION otlp_status_message AS (text, hash_key, statement) -> multiIf(
    text = '' OR {status_message:UInt8} = 4, '',
    {status_message:UInt8} = 1, text,
    {status_message:UInt8} = 2, otlp_hash(text, hash_key),
    {status_message:UInt8} = 3, assumeNotNull(otlp_text(statement, 'status.message', concat(text, ''))),
    otlp_clean(text, statement))
