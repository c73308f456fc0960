"""The read side: the questions of `queries/`, run against ClickHouse and shown."""
