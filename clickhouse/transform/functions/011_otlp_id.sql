-- A trace or span id in lowercase hex; an all-zero one says that there is none.
CREATE OR REPLACE FUNCTION otlp_id AS (id) -> if(
    id IN (unhex('0000000000000000'), unhex('00000000000000000000000000000000')), '', lower(hex(id)))
