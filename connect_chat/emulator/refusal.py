"""The errors that the emulated service answers with."""

from __future__ import annotations

from connect_chat.errors import ConnectChatError

__all__ = ["STATUS", "Refusal"]

STATUS = {
    "AccessDeniedException": 403,
    "ConflictException": 409,
    "ContactNotFoundException": 410,
    "InternalServerException": 500,
    "InternalServiceException": 500,
    "InvalidActiveRegionException": 400,
    "InvalidParameterException": 400,
    "InvalidRequestException": 400,
    "LimitExceededException": 429,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 402,
    "ThrottlingException": 429,
    "UnknownOperationException": 404,
    "ValidationException": 400,
}
"""The HTTP status of every error of both API models."""


class Refusal(ConnectChatError):
    """The emulated service refuses: over HTTP an error answer, in Python this exception.

    Attributes:
        code: The service's name of the error, for example ``"AccessDeniedException"``.
        message: What is wrong, without quoting what was sent.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(code, message)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
