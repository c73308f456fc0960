-- A trace or span id in lowercase hex; an all-zero one says that there is none.
CREATE OR REPLACE FUNCTION otlp_id AS (id) -> if(match(id, '^\\x00*$'), '', lower(hex(id)))
