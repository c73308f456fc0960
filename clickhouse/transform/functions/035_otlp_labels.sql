-- Labels read from JSON values before these are hashed (`tool_parameters.mcp_server_name`).
-- An attribute that the client sent under the same name wins. otlp_extract is receiver/scrub.py.
CREATE OR REPLACE FUNCTION otlp_labels AS (attributes, statement) -> arrayFilter(
    label -> NOT has((attributes).key, label.1),
    arrayFlatten(arrayMap(
        (key, text) -> if(key IN {extract:Array(String)},
            JSONExtract(assumeNotNull(otlp_extract(statement, key, text)), 'Array(Tuple(String, String))'),
            []),
        (attributes).key, (attributes).value.string_value)))
