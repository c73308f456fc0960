"""Everything that ClickHouse executes or is configured with, and the small Python modules that call it."""
