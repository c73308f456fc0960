-- A map without the keys that the rules drop.
CREATE OR REPLACE FUNCTION otlp_kept AS (map) ->
    if({drops:Bool}, mapFilter((key, value) -> key NOT IN {drop_keys:Array(String)}, map), map)
