-- A private map of entries, whose private pairs are given, with the labels that receiver/scrub.py reads from JSON values
-- before these are hashed (`tool_parameters.mcp_server_name`). An attribute of the same name that the client sent takes
-- precedence. Labels are added to the pairs and sorted with them: adding them to the map sorts it a second time.
CREATE OR REPLACE FUNCTION otlp_labelled AS (entries, pairs, statement) -> otlp_map(arrayConcat(pairs, if(
    has((entries).treatment, 5) OR has((entries).kind, 9),
    arrayFilter(
        label -> NOT has((pairs).1, (label).1),
        CAST(
            JSONExtract(
                assumeNotNull(otlp_extract(statement,
                    arrayStringConcat(arrayMap(entry -> hex((entry).pair), arrayFilter(entry -> (entry).treatment = 5 OR (entry).kind = 9, entries)), ' '))),
                'Map(String, String)'),
            'Array(Tuple(String, String))')),
    [])))
