-- A finite double as JavaScript prints it, which is what the Collector's ClickHouse exporter stores.
CREATE OR REPLACE FUNCTION otlp_double AS (x) -> replaceOne(replaceOne(toString(x + 0.), 'e', 'e+'), 'e+-', 'e-')
