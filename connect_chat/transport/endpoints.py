"""Where the service is: an endpoint for every region, partition and variant.

The rules are those of the service's own endpoint rule set, with which a test compares this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from connect_chat.errors import ConfigurationError

__all__ = ["endpoint_for", "resolve_endpoint"]


@dataclass(frozen=True, slots=True)
class _Partition:
    name: str
    regions: str
    """A pattern for the names of its regions."""

    suffix: str
    dualstack_suffix: str


_PARTITIONS = (
    _Partition("aws-cn", r"cn-\w+-\d+", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    _Partition("aws-us-gov", r"us-gov-\w+-\d+", "amazonaws.com", "api.aws"),
    _Partition("aws-eusc", r"eusc-(de)-\w+-\d+", "amazonaws.eu", "api.amazonwebservices.eu"),
    _Partition("aws-iso", r"us-iso-\w+-\d+", "c2s.ic.gov", "api.aws.ic.gov"),
    _Partition("aws-iso-b", r"us-isob-\w+-\d+", "sc2s.sgov.gov", "api.aws.scloud"),
    _Partition("aws-iso-e", r"eu-isoe-\w+-\d+", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    _Partition("aws-iso-f", r"us-isof-\w+-\d+", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
)
# Every other name counts as a region of the commercial partition, so that a region which is newer
# than this library works.
_COMMERCIAL = _Partition("aws", "", "amazonaws.com", "api.aws")

_HOST_LABEL = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")


def endpoint_for(region: str, *, fips: bool = False, dualstack: bool = False) -> str:
    """Return the URL of the service in a region.

    Args:
        region: For example ``"eu-central-1"``.
        fips: Whether the FIPS 140 endpoint is wanted.
        dualstack: Whether the endpoint that speaks IPv4 and IPv6 is wanted.

    Raises:
        ConfigurationError: ``region`` cannot be the name of a region.
    """
    if not _HOST_LABEL.fullmatch(region):
        raise ConfigurationError(f"{region!r} is no AWS region; name one like region='us-east-1'")
    partition = _partition_of(region)
    # GovCloud's ordinary endpoint is its FIPS endpoint, except in dual stack.
    variant = "-fips" if fips and (dualstack or partition.name != "aws-us-gov") else ""
    suffix = partition.dualstack_suffix if dualstack else partition.suffix
    return f"https://participant.connect{variant}.{region}.{suffix}"


def _partition_of(region: str) -> _Partition:
    for partition in _PARTITIONS:
        if region == f"{partition.name}-global" or re.fullmatch(partition.regions, region):
            return partition
    return _COMMERCIAL


def resolve_endpoint(
    *,
    region: str | None,
    endpoint_url: str | None,
    fips: bool | None,
    dualstack: bool | None,
    environ: Mapping[str, str],
) -> httpx.URL:
    """Return the endpoint that the arguments and, where they are None, the environment ask for.

    Raises:
        ConfigurationError: There is neither a region nor an endpoint, one of them is malformed, or
            an endpoint is combined with FIPS or dual stack, which choose one of AWS's own.
    """
    if fips is None:
        fips = _is_true(environ.get("AWS_USE_FIPS_ENDPOINT"))
    if dualstack is None:
        dualstack = _is_true(environ.get("AWS_USE_DUALSTACK_ENDPOINT"))
    if endpoint_url is None and not _is_true(environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")):
        endpoint_url = environ.get("AWS_ENDPOINT_URL_CONNECTPARTICIPANT") or environ.get(
            "AWS_ENDPOINT_URL"
        )
    if endpoint_url:
        if fips or dualstack:
            raise ConfigurationError(
                "an endpoint URL cannot be combined with FIPS or dual stack: drop endpoint_url "
                "(AWS_ENDPOINT_URL…), or use_fips and use_dualstack (AWS_USE_…_ENDPOINT)"
            )
        return _parse(endpoint_url)
    region = region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise ConfigurationError(
            "no region: pass region='us-east-1' or the like, set AWS_REGION, or pass endpoint_url"
        )
    return httpx.URL(endpoint_for(region, fips=fips, dualstack=dualstack))


def _parse(endpoint_url: str) -> httpx.URL:
    try:
        url = httpx.URL(endpoint_url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
        raise ConfigurationError(
            "endpoint_url must be like https://host or http://host:port, without a user"
        )
    if url.query or url.fragment:
        raise ConfigurationError("endpoint_url must not have a query or a fragment")
    return url


def _is_true(value: str | None) -> bool:
    return value is not None and value.lower() == "true"
