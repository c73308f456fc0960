"""What can be found in series, lines and spans, whichever system they are from: pure functions over the contract."""
