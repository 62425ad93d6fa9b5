"""Importing the package, against importing what it depends on, and against boto3 with a client."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

from tests.benchmarks.row import Missing, Row

__all__ = ["measure"]

_OURS = "import connect_chat"
_NAMES = "from connect_chat import ChatSession, ParticipantClient"
_BOTO3 = 'import boto3; boto3.client("connectparticipant", region_name="us-east-1")'
_TIMED = """
import time
began = time.process_time()
{code}
print(time.process_time() - began)
"""
# The modules from elsewhere that importing the package brings, in the order of their coming.
_FOREIGN = """
import sys
known = {*sys.modules, *sys.stdlib_module_names, "connect_chat"}
from connect_chat import ChatSession, ParticipantClient
for name in sys.modules:
    if name.partition(".")[0] not in known and not name.startswith("_sysconfigdata"):
        print(name)
"""


_REFERENCES = {
    "dependencies": "the modules of other packages that the names need, alone",
    "boto3": "import boto3, boto3.client",
}
_LAZILY = "A public name's module is imported when the name is first used; see the next row."


def measure(rounds: int) -> list[Row | Missing]:
    """Return the rows; each import happens in an interpreter of its own."""
    foreign = _run(_FOREIGN).split()
    code = {"ours": _OURS, "names": _NAMES, "dependencies": f"import {', '.join(foreign)}"}
    if find_spec("boto3") is not None:
        code["boto3"] = _BOTO3
    results: dict[str, list[float]] = {name: [] for name in code}
    for number in range(2 * rounds + 1):
        for name, line in code.items():
            took = float(_run(_TIMED.format(code=line))) * 1000
            if number:  # the first time compiles
                results[name].append(took)
    rows: list[Row | Missing] = [
        _row("dependencies", "", results, 1.15, _LAZILY),
        _row("dependencies", ".names", results, 1.15),
    ]
    if "boto3" not in results:
        return [*rows, Missing("import.boto3", "boto3 is not installed")]
    return [
        *rows,
        _row("boto3", "", results, 0.6, _LAZILY),
        _row("boto3", ".names", results, 0.6),
    ]


def _row(
    reference: str, suffix: str, results: dict[str, list[float]], target: float, note: str = ""
) -> Row:
    ours = results["names" if suffix else "ours"]
    against = _REFERENCES[reference]
    name, what = f"import.{reference}{suffix}", f"CPU of {_NAMES if suffix else _OURS}"
    return Row(name, what, against, "ms", ours, results[reference], "cost", target, note)


def _run(code: str) -> str:
    environment = {
        **os.environ,
        # As an installed package is: compiled before.
        "PYTHONDONTWRITEBYTECODE": "",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout
