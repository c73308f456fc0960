"""All that ClickHouse executes or is configured by, and the small Python doors to it."""
