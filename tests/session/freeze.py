"""A path that goes silent for 25 s, in real time and with the default options.

``python -m tests.session.freeze`` says 60 messages in 30 s, freezes the path for 25 s of them, and
prints what was delivered and when the silence was noticed.
"""

from __future__ import annotations

import asyncio
import sys

from connect_chat import Message, SessionOptions

from .support import numbered, running

MESSAGES = 60
PAUSE = 0.5
FROZEN_AFTER = 2.0
SILENCE = 25.0


async def freeze(*, new: bool) -> bool:
    """Run one chat; return whether everything came once, in order, and the silence was noticed.

    Args:
        new: Whether connections that are opened during the silence are silent, too.
    """
    loop = asyncio.get_running_loop()
    async with running() as rig, rig.session(options=SessionOptions()) as chat:
        agent = await rig.agent()
        heard: list[Message] = []
        times: list[float] = []

        async def hear() -> None:
            while len(heard) < MESSAGES:
                heard.append(await chat.wait_for(Message))
                times.append(loop.time())

        async with asyncio.timeout(90), asyncio.TaskGroup() as group:
            group.create_task(hear())
            frozen_at = loop.time() + FROZEN_AFTER
            loop.call_at(frozen_at, lambda: rig.proxy.freeze(new=new))
            loop.call_at(frozen_at + SILENCE, rig.proxy.heal)
            for text in numbered(MESSAGES):
                await agent.say(text)
                await asyncio.sleep(PAUSE)
        noticed = rig.traces.times("link.silent")[0] - frozen_at
        texts = [message.text for message in heard]
        back = next(at for at in times if at > frozen_at + PAUSE) - frozen_at
        late = sum(message.late for message in heard)
        what = "the whole path" if new else "the open connections"
        print(  # noqa: T201
            f"{what} silent for {SILENCE:g} s: {MESSAGES} said, {len(set(texts))} delivered, "
            f"{len(texts) - len(set(texts))} repeated, {late} late, "
            f"in order: {texts == numbered(MESSAGES)}; noticed after {noticed:.1f} s, "
            f"heard again after {back:.1f} s"
        )
        return texts == numbered(MESSAGES) and not late and noticed <= 15.5


async def main() -> int:
    done = await asyncio.gather(freeze(new=True), freeze(new=False))
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
