"""An operator's work on a running server: back up, restore, reset, forget, and look after the spool."""
