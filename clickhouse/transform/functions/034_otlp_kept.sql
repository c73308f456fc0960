-- The pairs whose key is not dropped.
CREATE OR REPLACE FUNCTION otlp_kept AS (attributes, pairs) -> if({drops:Bool},
    arrayFilter((pair, treatment) -> treatment != 4, pairs, otlp_treatment((attributes).key)),
    pairs)
