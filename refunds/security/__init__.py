"""Security: the master key and the keys it wraps, encrypted fields, tokens, passwords."""
