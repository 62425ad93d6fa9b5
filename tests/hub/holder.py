"""A process that holds chats with a store: ``python -m tests.hub.holder URL DATABASE``.

It takes up the chats of the store, and opens those whose tokens stand on stdin, one a line. For
each item it writes a line to stdout, ``CONTACT ITEM``, as what handling it does: what is in a
pipe stays there whatever happens to the one who wrote it. It ends when all the chats have ended.
"""

from __future__ import annotations

import asyncio
import os
import sys

from connect_chat import ChatHub, ChatSession, Item, ParticipantClient, SqliteSnapshotStore


async def on_item(chat: ChatSession, item: Item) -> None:
    os.write(1, f"{chat.contact_id} {item.id}\n".encode())


async def main(url: str, database: str) -> None:
    async with (
        ParticipantClient(endpoint_url=url, quota=None) as client,
        SqliteSnapshotStore(database) as store,
        ChatHub(client, on_item=on_item, store=store) as hub,
    ):
        await hub.restore()
        await asyncio.gather(*(hub.open(line.strip()) for line in sys.stdin))
        while len(hub):  # noqa: ASYNC110 - being empty is no event of the hub's
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
