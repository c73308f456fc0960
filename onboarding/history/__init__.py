"""History from before the first export: Claude Code's own transcripts, sent as the events that it sends over OTLP."""
