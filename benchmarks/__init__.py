"""What the server costs: spans per CPU-second, memory and latency, side by side with its peers."""
