"""What an installation without extras can do, and what it says about the rest."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib import resources
from itertools import chain
from pathlib import Path

import pytest

import connect_chat

PROJECT = tomllib.loads(
    (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
)["project"]
EXTRAS = ("starlette", "uvicorn", "typer", "rich", "aiosqlite", "redis")


def run_without_extras(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, in which no extra's package can be imported."""
    hide = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"
    return subprocess.run(
        [sys.executable, "-c", hide + code], capture_output=True, text=True, timeout=30, check=False
    )


def test_the_core_needs_no_extra() -> None:
    """Every public name can be imported without any."""
    done = run_without_extras("from connect_chat import *; print(ChatSession.__name__)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ChatSession\n", "")


def test_the_core_imports_no_extra() -> None:
    """Not even where they are installed: a bot does not pay for a server it doesn't run."""
    # httpx imports rich by itself where that is installed, for a command line of its own.
    code = f"import connect_chat, sys; print(*sys.modules.keys() & {set(EXTRAS) - {'rich'}!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("import connect_chat.emulator", "emulator"),
        ("sys.argv = ['connect-chat', 'demo']\nimport connect_chat.cli as c; c.main()", "cli"),
    ],
)
def test_what_needs_an_extra_names_it(code: str, extra: str) -> None:
    """The last line of the error is the command that installs it."""
    done = run_without_extras(code)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f'run  pip install "connect-chat[{extra}]"')


def test_only_the_agreed_packages_are_required() -> None:
    """Anything more is an extra."""
    names = {requirement.split(">")[0] for requirement in PROJECT["dependencies"]}
    assert names == {"anyio", "httpx", "pydantic", "sniffio", "websockets"}


def test_types_are_shipped() -> None:
    """Type checkers use the annotations of a package that has this file."""
    assert resources.files(connect_chat).joinpath("py.typed").is_file()


def test_every_public_name_exists_once() -> None:
    """``__all__`` is what ``from connect_chat import *`` gives."""
    names = connect_chat.__all__
    assert len(names) == len(set(names))
    assert all(hasattr(connect_chat, name) for name in names)
    assert set(names) <= set(dir(connect_chat))
    with pytest.raises(AttributeError, match="no attribute 'ParticipantKlient'"):
        connect_chat.ParticipantKlient  # noqa: B018


def test_type_checkers_see_the_public_names_where_they_are() -> None:
    """What is imported for type checkers is what is found when the package runs."""
    source = ast.parse(Path(connect_chat.__file__).read_text(encoding="utf-8"))
    (block,) = (
        node
        for node in source.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {
        node.module: tuple(alias.name for alias in node.names)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
    }
    assert seen == {f"connect_chat.{home}": names for home, names in connect_chat._HOMES.items()}
    assert {"__version__", *chain(*seen.values())} == set(connect_chat.__all__)


def test_reading_items_needs_no_http_client() -> None:
    """A public name brings what it needs, and nothing else."""
    code = (
        "import sys, connect_chat; connect_chat.parse_item({'Type': 'MESSAGE'}); "
        "print({'httpx', 'websockets'} & sys.modules.keys() or 'neither')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "neither\n"
