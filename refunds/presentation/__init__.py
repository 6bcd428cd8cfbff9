"""Presentation: everything that people and clients see, as plain data, in words, and as pages."""
