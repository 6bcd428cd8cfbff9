"""Why a request ends without a cancellation, and why it is open again."""

from enum import StrEnum


class ResolutionReason(StrEnum):
    """Why a request was ended without a cancellation."""

    CUSTOMER_KEPT_ORDER = "customer_kept_order"
    DUPLICATE = "duplicate"  # another contact about the same order asks for the same
    ENTERED_IN_ERROR = "entered_in_error"
    ANSWERED_IN_WRITING = "answered_in_writing"  # only of a statutory declaration
    OTHER = "other"  # as its free text says


ENDS_A_TIMELY_REQUEST = (
    ResolutionReason.CUSTOMER_KEPT_ORDER,
    ResolutionReason.DUPLICATE,
    ResolutionReason.ENTERED_IN_ERROR,
)
"""The reasons for which a request that was in time, or needs a supervisor, is resolved without one."""


class ReopeningReason(StrEnum):
    """Why a resolved request is open again."""

    ENTERED_IN_ERROR = "entered_in_error"  # its resolution was
    CUSTOMER_ASKED_AGAIN = "customer_asked_again"
