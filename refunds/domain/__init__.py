"""The domain: what is counted, decided and recorded. No I/O, no web and no schema library."""
