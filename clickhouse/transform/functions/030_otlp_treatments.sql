-- What the rules say of each key: 0 scan, 1 safe, 2 hash, 3 excerpt, 4 drop, 5 extract labels and hash.
CREATE OR REPLACE FUNCTION otlp_treatments AS (keys) ->
    arrayMap(k -> transform(k, {keys:Array(String)}, {treatments:Array(UInt8)}, toUInt8(0)), keys)
