"""A stand-in for S3: presigned URLs to which files are PUT and from which they are fetched."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from urllib.parse import quote, urlencode
from uuid import uuid4

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from connect_chat.emulator.api import TooLargeError, drain_body, read_body
from connect_chat.emulator.attachments import Attachment, Attachments
from connect_chat.emulator.clock import Clock
from connect_chat.emulator.exchanges import Exchanges
from connect_chat.emulator.faults import Fail
from connect_chat.emulator.settings import EmulatorSettings

__all__ = ["Storage"]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Storage:
    """Signs URLs and serves them."""

    def __init__(self, settings: EmulatorSettings, clock: Clock, attachments: Attachments) -> None:
        self._settings = settings
        self._clock = clock
        self._attachments = attachments
        self._key = secrets.token_bytes(16)

    def routes(self, exchanges: Exchanges) -> list[Route]:
        """Return where the URLs lead."""

        def endpoint(
            operation: str, work: Callable[[Request], Awaitable[Response]]
        ) -> Callable[[Request], Awaitable[Response]]:
            async def serve(request: Request) -> Response:
                attachment = self._attachments.get(request.path_params["attachment_id"])
                return await exchanges.answer(
                    operation,
                    request,
                    partial(work, request),
                    whom=None if attachment is None else attachment.owner,
                    fail=partial(self._fail, request),
                )

            return serve

        path = "/storage/{attachment_id}"
        return [
            Route(path, endpoint("PutObject", self._put), methods=["PUT"]),
            Route(path, endpoint("GetObject", self._get), methods=["GET"]),
        ]

    def upload_url(self, base_url: str, attachment: Attachment) -> tuple[str, float]:
        """Return a URL to PUT a file to, and the time, in seconds, of its expiry."""
        lifetime = self._settings.attachment_url_lifetime
        return self._url(base_url, attachment, "PUT", lifetime, "")

    def download_url(
        self, base_url: str, attachment: Attachment, *, lifetime: float | None, disposition: str
    ) -> tuple[str, float]:
        """Return a URL to GET a file from, and the time, in seconds, of its expiry.

        Args:
            base_url: What the URL begins with.
            attachment: The file.
            lifetime: Seconds that the URL works, by default the setting.
            disposition: ``"INLINE"`` or ``"ATTACHMENT"``.
        """
        seconds = self._settings.attachment_url_lifetime if lifetime is None else lifetime
        return self._url(base_url, attachment, "GET", seconds, disposition)

    def _url(
        self, base_url: str, attachment: Attachment, method: str, lifetime: float, disposition: str
    ) -> tuple[str, float]:
        expires = self._clock.now() + lifetime
        query = {
            "X-Amz-Expires": f"{expires:.3f}",
            "response-content-disposition": disposition,
        }
        signature = self._sign(method, attachment.id, **query)
        query["X-Amz-Signature"] = signature
        return f"{base_url}/storage/{attachment.id}?{urlencode(query)}", expires

    def _sign(self, method: str, attachment_id: str, **query: str) -> str:
        signed = "\n".join((method, attachment_id, *query.values()))
        return hmac.new(self._key, signed.encode(), hashlib.sha256).hexdigest()

    def _find(self, request: Request, method: str) -> Attachment | Response:
        """Return the file that a URL leads to, or the answer that refuses it."""
        if "x-amz-bearer" in request.headers:
            return self._error(
                400, "InvalidArgument", "Only one auth mechanism allowed; remove X-Amz-Bearer."
            )
        attachment_id = request.path_params["attachment_id"]
        names = ("X-Amz-Expires", "response-content-disposition")
        query = {name: request.query_params.get(name, "") for name in names}
        given = request.query_params.get("X-Amz-Signature", "")
        attachment = self._attachments.get(attachment_id)
        signature = self._sign(method, attachment_id, **query)
        if attachment is None or not hmac.compare_digest(signature.encode(), given.encode()):
            return self._error(403, "SignatureDoesNotMatch", "The signature does not match.")
        if self._clock.now() > float(query["X-Amz-Expires"]):
            return self._error(403, "AccessDenied", "Request has expired")
        return attachment

    async def _put(self, request: Request) -> Response:
        attachment = self._uploadable(request)
        try:
            if isinstance(attachment, Response):
                # Read to the end, since a client that is refused in mid-upload may not see why.
                await drain_body(request, self._settings.attachment_max_bytes)
                return attachment
            attachment.data = await read_body(request, attachment.size)
        except TooLargeError:
            return self._error(400, "EntityTooLarge", "The upload exceeds the allowed size.")
        except ClientDisconnect:
            return Response()  # nobody is there to get it
        return Response(headers=self._headers())

    def _uploadable(self, request: Request) -> Attachment | Response:
        """Return the file that a request may upload, or the answer that refuses it."""
        attachment = self._find(request, "PUT")
        if isinstance(attachment, Response):
            return attachment
        signed = {name.lower(): value for name, value in attachment.upload_headers.items()}
        if any(request.headers.get(name) != value for name, value in signed.items()):
            return self._error(403, "SignatureDoesNotMatch", "A signed header differs.")
        if any(name.startswith("x-amz-") and name not in signed for name in request.headers):
            return self._error(403, "AccessDenied", "There are headers that were not signed.")
        if attachment.status is not None:
            return self._error(403, "AccessDenied", "The upload has been completed.")
        return attachment

    async def _get(self, request: Request) -> Response:
        attachment = self._find(request, "GET")
        if isinstance(attachment, Response):
            return attachment
        data = attachment.data or b""
        disposition = request.query_params["response-content-disposition"].lower()
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        headers = {
            **self._headers(),
            "Accept-Ranges": "bytes",
            "ETag": etag,
            "Content-Type": attachment.content_type,
            # The real one has an origin of its own; here, a file must not act in the emulator's.
            "Content-Security-Policy": "sandbox",
            "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(attachment.name, '')}",
        }
        wanted = _RANGE.fullmatch(request.headers.get("range", ""))
        unchanged = request.headers.get("if-range", etag) == etag
        if wanted is None or wanted.groups() == ("", "") or not unchanged:
            return Response(data, headers=headers)
        first, last = _bounds(wanted[1], wanted[2], len(data))
        if first > last:
            answer = self._error(416, "InvalidRange", "The requested range is not satisfiable")
            answer.headers["Content-Range"] = f"bytes */{len(data)}"
            return answer
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return Response(data[first : last + 1], 206, headers)

    async def _fail(self, request: Request, fault: Fail) -> Response:
        """Return the answer of S3 when it is not well."""
        if not fault.after_work:
            with suppress(TooLargeError, ClientDisconnect):
                await drain_body(request, self._settings.attachment_max_bytes)
        answer = self._error(int(fault.error), "InternalError", "This failure was asked for.")
        if fault.retry_after is not None:
            answer.headers["Retry-After"] = str(fault.retry_after)
        return answer

    def _headers(self) -> dict[str, str]:
        return {
            "x-amz-request-id": uuid4().hex[:16].upper(),
            "Date": formatdate(self._clock.now(), usegmt=True),
        }

    def _error(self, status: int, code: str, message: str) -> Response:
        page = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        )
        return Response(page, status, self._headers(), media_type="application/xml")


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Return the first and last place that a Range asks for; it is empty if they cross."""
    if not first:  # the last so many bytes
        return max(size - int(last), 0), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
