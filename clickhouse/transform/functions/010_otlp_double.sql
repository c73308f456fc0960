-- A double as JavaScript prints it, which is what the Collector's ClickHouse exporter stores.
CREATE OR REPLACE FUNCTION otlp_double AS (x) -> multiIf(
    isNaN(x), 'NaN',
    isInfinite(x), if(x > 0, 'Infinity', '-Infinity'),
    x = 0, '0',
    replaceOne(replaceOne(toString(x), 'e', 'e+'), 'e+-', 'e-'))
