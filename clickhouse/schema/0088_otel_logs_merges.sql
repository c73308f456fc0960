-- As 0087.
ALTER TABLE otel_logs MODIFY SETTING merge_selector_base = 16, max_parts_to_merge_at_once = 16
