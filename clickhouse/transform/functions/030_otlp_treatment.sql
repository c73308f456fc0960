-- What the rules say of a key: 0 scan, 1 safe, 2 hash, 3 excerpt, 4 drop (receiver/rules.py).
CREATE OR REPLACE FUNCTION otlp_treatment AS (keys) ->
    arrayMap(k -> transform(k, {keys:Array(String)}, {treatments:Array(UInt8)}, toUInt8(0)), keys)
