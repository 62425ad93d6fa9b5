"""Files take little memory, whatever their size."""

from __future__ import annotations

from benchmarks.attachments import MIB, MOST_EXTRA, allocated, transfers


async def test_a_large_file_takes_constant_memory() -> None:
    """8 MiB go up and come down with less than 4 MiB more than before."""
    async with transfers(8 * MIB) as prepared:
        assert await allocated(prepared.up) < MOST_EXTRA
        assert await allocated(prepared.down) < MOST_EXTRA
