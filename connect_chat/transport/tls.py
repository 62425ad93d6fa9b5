"""The TLS settings: one context for everything, made when it is first needed; and distrust."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import httpx

from connect_chat.errors import ConfigurationError

__all__ = ["create_ssl_context", "why_distrusted"]


def create_ssl_context(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context that verifies servers; it takes some 20 ms to make, so make it once.

    Trusted are the authorities in the file that ``AWS_CA_BUNDLE`` names, or else
    ``SSL_CERT_FILE``, or the directory ``SSL_CERT_DIR``, or else those that httpx trusts.

    Raises:
        ConfigurationError: The environment names a file that cannot be used.
    """
    try:
        if bundle := environ.get("AWS_CA_BUNDLE"):
            return ssl.create_default_context(cafile=bundle)
        return httpx.create_ssl_context()
    except OSError as error:
        raise ConfigurationError(
            "the CA certificates cannot be read; check AWS_CA_BUNDLE, SSL_CERT_FILE and "
            f"SSL_CERT_DIR ({error.strerror or type(error).__name__})"
        ) from error


def why_distrusted(error: BaseException | None) -> str | None:
    """Return why the server was not trusted, if that is what an error comes from; None if not."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    if error is None:
        return None
    return (
        f"the server's certificate is not trusted: {error.verify_message}; "
        "check ssl_context or AWS_CA_BUNDLE"
    )
