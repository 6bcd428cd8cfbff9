"""Schemas: they turn input from outside into values of the domain."""
