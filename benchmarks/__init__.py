"""Measures the server's cost: spans per CPU-second, memory and latency, side by side with its peers."""
