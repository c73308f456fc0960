-- A map of attributes with the labels that receiver/scrub.py reads from JSON values before these are hashed
-- (`tool_parameters.mcp_server_name`). An attribute that the client sent under the same name wins.
CREATE OR REPLACE FUNCTION otlp_labelled AS (attributes, map, statement) -> if(
    has(otlp_treatments((attributes).key), 5),
    mapSort(mapUpdate(
        JSONExtract(
            assumeNotNull(otlp_extract(statement, toJSONString(arrayFilter(
                (pair, treatment) -> treatment = 5,
                arrayZip((attributes).key, (attributes).value.string_value),
                otlp_treatments((attributes).key))))),
            'Map(String, String)'),
        map)),
    map)
