-- Each row keeps the number of the insert that brought it, also after merges: what is new is known by it, late or not.
ALTER TABLE telemetry_events MODIFY SETTING enable_block_number_column = 1
