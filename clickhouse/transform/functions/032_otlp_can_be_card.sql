-- Whether an int can be the number of a card: thirteen digits or more, and none that begins with 1, as times in
-- milliseconds, microseconds and nanoseconds do, of which there are many.
CREATE OR REPLACE FUNCTION otlp_can_be_card AS (number) ->
    number >= 2000000000000 AND NOT (number BETWEEN 1000000000000000 AND 1999999999999999)
        AND NOT (number BETWEEN 1000000000000000000 AND 1999999999999999999)
