-- As 0087. And each of a part's files has smaller buffers: to write all of them took 125 MiB in a merge.
ALTER TABLE telemetry_spans MODIFY SETTING
    merge_selector_base = 16, max_parts_to_merge_at_once = 16, max_compress_block_size = 131072, merge_max_block_size = 2048
