-- As 0087. And the events of a batch are one file, where they were one for each of 150 streams, each synced: inserting
-- them took four times as long. Merged parts have a file a column, for the questions.
ALTER TABLE telemetry_events MODIFY SETTING
    merge_selector_base = 16, max_parts_to_merge_at_once = 16, min_bytes_for_wide_part = 16777216
