-- As otlp_attributes, with the labels that the rules extract.
CREATE OR REPLACE FUNCTION otlp_labelled_attributes AS (attributes, hash_key, statement) -> otlp_map(arrayConcat(
    otlp_kept(attributes, otlp_pairs(attributes, hash_key, statement)),
    if(hasAny((attributes).key, {extract:Array(String)}), otlp_labels(attributes, statement), [])))
