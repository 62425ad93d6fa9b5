"""Strikes at each of the moments at which anything that a scenario does would wait.

A session's user waits in a handful of places, but the calls and sockets that the session has under
way for them wait in many more. So a walk counts the waits of the user's task and of every task
that was begun because of it, and strikes when the count says so: for 0, 1, 2, … in turn, until the
scenario has ended before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any

_walk: ContextVar[Walk | None] = ContextVar("_walk", default=None)


class Walk:
    """One run of a scenario.

    Args:
        at: The wait at which to strike, from 0.
        strike: Called then, with this.
        again_after: Strike once more so many waits later.
        answered: Whether to strike when what is waited for has come, but nobody has seen it yet;
            else while it is waited for.

    Attributes:
        tasks: The user's task, and all those begun because of it.
        waits: How often they have waited.
        errors: What was reported to the loop's exception handler meanwhile.
    """

    def __init__(
        self,
        at: int,
        strike: Callable[[Walk], None],
        *,
        again_after: int = 0,
        answered: bool = False,
    ) -> None:
        self._at = {at, at + again_after}
        self._strike = strike
        self._answered = answered
        self.tasks: list[asyncio.Task[Any]] = []
        self.waits = 0
        self.errors: list[dict[str, Any]] = []

    @property
    def user(self) -> asyncio.Task[Any]:
        return self.tasks[0]

    async def run(self, scenario: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Run the scenario to its end, whatever that is; return its task, which is done."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(self._make_task)
        loop.set_exception_handler(lambda _, context: self.errors.append(context))
        token = _walk.set(self)
        try:
            user = asyncio.create_task(scenario)
        finally:
            _walk.reset(token)
        try:
            await asyncio.wait([user])
        except asyncio.CancelledError:
            user.cancel()
            await asyncio.wait([user])
            raise
        finally:
            loop.set_task_factory(None)
        return user

    def leaves_nothing(self) -> None:
        """Check that no task and no timer of the scenario is left."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(None)
        assert self.errors == []
        assert [task for task in self.tasks if not task.done()] == []
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]
        assert [timer for timer in timers if timer._context.get(_walk) is self] == []

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        if _walk.get() is not self:
            return asyncio.Task(work, loop=loop, **options)
        task = asyncio.Task(_Watched(work, self._waits_for), loop=loop, **options)
        self.tasks.append(task)
        return task

    def _waits_for(self, future: asyncio.Future[Any] | None) -> None:
        now, self.waits = self.waits, self.waits + 1
        if now not in self._at:
            return
        if self._answered and future is not None:
            # Before the callback that lets the waiting task go on.
            future.add_done_callback(lambda _: self._strike(self))
        else:
            asyncio.get_running_loop().call_soon(self._strike, self)


class _Watched(Coroutine[Any, Any, Any]):
    """A coroutine that tells whenever it waits."""

    def __init__(
        self, work: Coroutine[Any, Any, Any], waits: Callable[[asyncio.Future[Any] | None], None]
    ) -> None:
        self._work = work
        self._waits = waits

    def send(self, value: Any) -> Any:
        return self._tell(self._work.send(value))

    def throw(self, *error: Any) -> Any:
        return self._tell(self._work.throw(*error))

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError("it is for a task to run")

    def _tell(self, future: asyncio.Future[Any] | None) -> asyncio.Future[Any] | None:
        self._waits(future)
        return future
