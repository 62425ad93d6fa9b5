"""How long a connection lasts, told by clocks that may disagree."""

from __future__ import annotations

from connect_chat.engine.commands import Grant

__all__ = ["DEFAULT_LIFETIME", "connection_lifetime", "token_lifetime"]

DEFAULT_LIFETIME = 3540.0
"""What the vendor's clients assume: they rotate at 59 minutes."""

_LONGEST = 86_400.0
_SHORTEST_BY_OUR_CLOCK = 60.0
_LONGEST_BY_OUR_CLOCK = 7_200.0


def connection_lifetime(grant: Grant) -> float:
    """Return the seconds from the grant until its socket goes away.

    ConnectionExpiry is compared with the service's own clock where the answer carried it. With
    only our clock to compare, a lifetime that the service does not hand out is taken for a wrong
    clock rather than for the truth. What is absurd either way becomes `DEFAULT_LIFETIME`, so
    that neither a clock nor an expiry in the past can make a session spin or sleep for ever.
    """
    if grant.connection_expiry is None:
        return DEFAULT_LIFETIME
    if grant.service_time is not None:
        seconds = (grant.connection_expiry - grant.service_time).total_seconds()
        believable = 0.0 < seconds <= _LONGEST
    else:
        seconds = (grant.connection_expiry - grant.local_time).total_seconds()
        believable = _SHORTEST_BY_OUR_CLOCK <= seconds <= _LONGEST_BY_OUR_CLOCK
    return seconds if believable else DEFAULT_LIFETIME


def token_lifetime(grant: Grant) -> float:
    """Return the seconds until the ConnectionToken expires; a day if that cannot be told."""
    if grant.token_expiry is not None and grant.service_time is not None:
        seconds = (grant.token_expiry - grant.service_time).total_seconds()
        if 0.0 < seconds <= _LONGEST:
            return seconds
    return _LONGEST
