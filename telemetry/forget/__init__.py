"""Deleting what is stored of one person or session, everywhere, with a record that it was done."""
