-- A private map with the labels that receiver/scrub.py reads from JSON values before these are hashed
-- (`tool_parameters.mcp_server_name`). An attribute of the same name that the client sent takes precedence.
CREATE OR REPLACE FUNCTION otlp_labelled AS (entries, map, statement) -> CAST(if(
    has((entries).treatment, 5) OR has((entries).kind, 9),
    mapSort(mapUpdate(
        JSONExtract(
            assumeNotNull(otlp_extract(statement,
                arrayStringConcat(arrayMap(entry -> hex((entry).pair), arrayFilter(entry -> (entry).treatment = 5 OR (entry).kind = 9, entries)), ' '))),
            'Map(String, String)'),
        map)),
    map), 'Map(LowCardinality(String), String)')
