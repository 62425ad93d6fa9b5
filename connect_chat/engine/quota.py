"""What an instance grants: how often each operation may be called."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from connect_chat.errors import ConfigurationError

__all__ = ["DEFAULT_QUOTA", "Quota", "Rate"]


@dataclass(frozen=True, slots=True)
class Rate:
    """How often an operation may be called.

    Attributes:
        per_second: Calls per second, in the long run.
        burst: Calls at once, after a pause.

    Raises:
        ConfigurationError: ``per_second`` is not a positive number or ``burst`` is less than 1.
    """

    per_second: float
    burst: int

    def __post_init__(self) -> None:
        if not (0 < self.per_second < math.inf and self.burst >= 1):
            raise ConfigurationError(
                "a Rate takes more than 0 calls per_second and a burst of at least 1; got "
                f"{self.per_second!r} and {self.burst!r}"
            )


@dataclass(frozen=True, slots=True)
class Quota:
    """The rates of a Connect instance, by operation.

    Attributes:
        rates: By the service's name of the operation, for example ``"SendMessage"``. An operation
            without a rate is not paced.
    """

    rates: Mapping[str, Rate]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", MappingProxyType(dict(self.rates)))

    def overridden_by(self, rates: Mapping[str, Rate]) -> Quota:
        """Return this quota with other rates for some operations."""
        return Quota({**self.rates, **rates})


DEFAULT_QUOTA = Quota(
    {
        "CreateParticipantConnection": Rate(6, 9),
        "DisconnectParticipant": Rate(3, 5),
        "GetTranscript": Rate(8, 12),
        "SendMessage": Rate(10, 15),
        "SendEvent": Rate(10, 15),
        "StartAttachmentUpload": Rate(2, 5),
        "CompleteAttachmentUpload": Rate(2, 5),
        "GetAttachment": Rate(8, 12),
    }
)
"""What AWS grants an instance by default, as its documentation of API throttling says. It gives no
rates for the other three operations, so they are not paced; a throttled one is retried later."""
