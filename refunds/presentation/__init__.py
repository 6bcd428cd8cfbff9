"""Presentation: everything that is shown, as plain data, in words, and as pages."""
