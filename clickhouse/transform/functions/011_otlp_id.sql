-- A trace or span id in lowercase hex; an all-zero id means no id, and becomes empty.
CREATE OR REPLACE FUNCTION otlp_id AS (id) -> if(
    id IN (unhex('0000000000000000'), unhex('00000000000000000000000000000000')), '', lower(hex(id)))
