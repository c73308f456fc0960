"""Deletes all data of one person or session, everywhere, and leaves a record of the deletion."""
