"""Other observability systems behind one contract: their metrics, logs and traces, and the store's own."""
