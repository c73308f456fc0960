"""The OpenTelemetry protocol: signals, counting, JSON, statuses, decompression, and one sender."""
