"""Schemas of the API, one file per subject: requests and responses, with examples."""
