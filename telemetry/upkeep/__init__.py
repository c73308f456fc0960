"""What an operator does with a running server: back up, restore, reset, and look whether all is in order."""
