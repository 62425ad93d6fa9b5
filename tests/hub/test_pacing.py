"""Chats that wait for each other under the quota, in virtual time."""

from __future__ import annotations

import asyncio

from connect_chat import ChatHub, ParticipantClient, Priority, Rate
from connect_chat.emulator import Emulator
from connect_chat.testing import VirtualTimeLoop

CONNECT = "CreateParticipantConnection"


def test_a_chat_whose_turn_takes_long_is_not_given_up():
    """Over three minutes in the queue, thrice connect_timeout; meanwhile it shows in the stats."""

    async def main(loop):
        async with (
            Emulator(clock=loop.wall_time) as emulator,
            ParticipantClient(
                endpoint_url=emulator.url, quota={CONNECT: Rate(1 / 200, 1)}
            ) as client,
            ChatHub(client) as hub,
        ):
            first, second = [await emulator.start_chat() for _ in range(2)]
            await hub.open(first.participant_token)
            began = loop.time()
            opening = asyncio.create_task(hub.open(second.participant_token))
            await asyncio.sleep(150.0)
            assert hub.stats.client.queues == {CONNECT: {Priority.CONNECT: 1}}
            assert hub.stats.states == {"connected": 1, "connecting": 1}
            chat = await opening
            assert chat.contact_id == second.contact_id
            assert hub.stats.client.waiting == 0
            return loop.time() - began

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert 195.0 < runner.run(main(runner.get_loop())) < 205.0
