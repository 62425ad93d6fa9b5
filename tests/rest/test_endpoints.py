"""Where the service is called, compared with AWS's own rule set."""

from __future__ import annotations

from itertools import product

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from botocore.loaders import Loader

from connect_chat import ConfigurationError, ParticipantClient

_LOADER = Loader()
_PARTITIONS = _LOADER.load_data("partitions")
_REGIONS = sorted(
    region for partition in _PARTITIONS["partitions"] for region in partition["regions"]
)
_VARIABLES = (
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_CONNECTPARTICIPANT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
)


@pytest.fixture(autouse=True)
def no_aws_variables(monkeypatch):
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def theirs():
    rules = _LOADER.load_service_model("connectparticipant", "endpoint-rule-set-1")
    return EndpointProvider(rules, _PARTITIONS)


def compare(theirs, region, endpoint, fips, dualstack):
    try:
        expected = theirs.resolve_endpoint(
            Region=region, Endpoint=endpoint, UseFIPS=fips, UseDualStack=dualstack
        ).url
    except EndpointProviderError:
        with pytest.raises(ConfigurationError):
            ParticipantClient(region, endpoint_url=endpoint, use_fips=fips, use_dualstack=dualstack)
        return
    client = ParticipantClient(
        region, endpoint_url=endpoint, use_fips=fips, use_dualstack=dualstack
    )
    assert client.endpoint_url == expected


@pytest.mark.parametrize("region", _REGIONS)
def test_every_known_region(theirs, region):
    """Every region, with and without FIPS and dual stack, is where the rule set says."""
    for fips, dualstack in product((False, True), repeat=2):
        compare(theirs, region, None, fips, dualstack)


@pytest.mark.parametrize(
    "region",
    [
        "eu-north-9",
        "cn-south-7",
        "us-gov-north-1",
        "us-iso-north-1",
        "us-isob-north-1",
        "eu-isoe-north-1",
        "us-isof-north-1",
        "eusc-de-west-2",
        "eusc-fr-west-1",
        "mars-north-1",
        "nowhere",
    ],
)
def test_regions_that_nobody_knows_yet(theirs, region):
    """A region that is newer than the library goes where the rule set's patterns say."""
    for fips, dualstack in product((False, True), repeat=2):
        compare(theirs, region, None, fips, dualstack)


def test_endpoint_url_and_no_region(theirs):
    """An endpoint URL needs no region and excludes FIPS and dual stack; neither is refused."""
    for region, endpoint in product((None, "us-east-1"), (None, "http://127.0.0.1:8765")):
        for fips, dualstack in product((False, True), repeat=2):
            compare(theirs, region, endpoint, fips, dualstack)


@pytest.mark.parametrize("region", ["us east", "a.b", "-x", "x-", "evil.example/", "a" * 64, "ü"])
def test_a_region_that_would_change_the_host_is_refused(region):
    with pytest.raises(ConfigurationError, match="no AWS region"):
        ParticipantClient(region)


def test_missing_region_says_what_to_do():
    with pytest.raises(ConfigurationError, match=r"region=.*AWS_REGION.*endpoint_url"):
        ParticipantClient()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"AWS_REGION": "eu-west-2"}, "https://participant.connect.eu-west-2.amazonaws.com"),
        (
            {"AWS_DEFAULT_REGION": "eu-west-2"},
            "https://participant.connect.eu-west-2.amazonaws.com",
        ),
        (
            {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "us-east-1"},
            "https://participant.connect.eu-west-2.amazonaws.com",
        ),
        (
            {"AWS_REGION": "us-east-1", "AWS_USE_FIPS_ENDPOINT": "True"},
            "https://participant.connect-fips.us-east-1.amazonaws.com",
        ),
        (
            {"AWS_REGION": "us-east-1", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "https://participant.connect.us-east-1.api.aws",
        ),
        ({"AWS_ENDPOINT_URL": "http://a:1"}, "http://a:1"),
        (
            {"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": "http://b:1"},
            "http://b:1",
        ),
        (
            {
                "AWS_ENDPOINT_URL": "http://a:1",
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
                "AWS_REGION": "us-east-1",
            },
            "https://participant.connect.us-east-1.amazonaws.com",
        ),
    ],
)
def test_the_environment(monkeypatch, environ, expected):
    """The AWS variables count in the order in which AWS's own SDKs take them."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert ParticipantClient().endpoint_url == expected


def test_arguments_come_before_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    client = ParticipantClient("us-east-1", use_fips=False)
    assert client.endpoint_url == "https://participant.connect.us-east-1.amazonaws.com"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://a:1")
    assert ParticipantClient(endpoint_url="http://c:1", use_fips=False).endpoint_url == "http://c:1"


@pytest.mark.parametrize(
    "url",
    [
        "example.com",
        "ftp://example.com",
        "http://",
        "https://u:p@h",
        "http://h?q=1",
        "http://h:port",
        "",
    ],
)
def test_a_malformed_endpoint_url_is_refused_without_quoting_it(url):
    with pytest.raises(ConfigurationError) as caught:
        ParticipantClient(endpoint_url=url)
    assert "u:p" not in str(caught.value)
