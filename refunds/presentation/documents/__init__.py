"""Documents to keep or print, as text and as pages."""
