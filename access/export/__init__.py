"""Exports: what is stored, as files for other programs, whole or what is new since the last export."""
