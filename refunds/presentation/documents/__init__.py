"""Documents: what is kept or printed, as text and as pages."""
