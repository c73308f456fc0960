-- What the rules do with the value of a key: 0 scan, 1 safe, 2 hash, 3 excerpt, 4 drop, 5 extract labels and hash.
CREATE OR REPLACE FUNCTION otlp_treatment AS (key) ->
    transform(key, {keys:Array(String)}, {treatments:Array(UInt8)}, toUInt8(0))
