"""Schemas: how anything from outside becomes a value of the domain."""
