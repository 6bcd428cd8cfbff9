"""Schemas of the API, one file a subject: what is asked and what is answered, with its examples."""
