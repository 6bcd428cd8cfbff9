"""What some of these tests need."""

from tests import PROOFS

collect_ignore = [] if PROOFS else ["test_behind_nginx.py"]
"""nginx comes with `make proofs` alone."""
