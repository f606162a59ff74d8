"""Tells Quay's build manager about builds, over its own gRPC service, with two streams for all of them.

Quay's server has ten threads and every open stream holds one. A message names its job by the token in it, so one LogMessage
stream and one Heartbeat stream carry every build; numbers rise over the whole stream, which is what the server asks for.
On each stream one message is under way at a time: an answer belongs to what was asked last, a failure to the build that
asked, and builds take turns. Everything here belongs to the event loop it is first used on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

import grpc
import grpc.aio

from slipway_quay import rpc
from slipway_quay.job import BuildJob

ANSWER_TIME: Final = 20.0  # seconds; Quay's database and redis are behind every answer
_EOF: Final = vars(grpc.aio)["EOF"]  # missing in the stubs
_LAST_NUMBER: Final = 2**31 - 1


class Unavailable(Exception):
    """The manager could not be asked, or not understood; later it may. Nothing was told."""


class Uncertain(Unavailable):
    """The stream broke before the answer came: the message may have been stored."""


class Refused(Exception):
    """The manager does not take this job's token (any more)."""


class Publisher(Protocol):
    """One build's way to Quay. False everywhere means: the job is over for Quay, and nothing more need be told.
    All raise Unavailable, Refused; `log_message` Uncertain too."""

    async def set_phase(self, name: str, pull: Mapping[str, str]) -> bool:
        """`name` as in rpc.PHASES, in lower case."""
        ...

    async def log_message(self, text: str) -> bool:
        """Appends one entry; Quay makes it a command if `Step i/n :` is found in it. False: Quay did not want it."""
        ...

    async def heartbeat(self) -> bool: ...


class _Stream:
    """One bidirectional call, opened when first needed and again after it broke."""

    def __init__(self, opened: Callable[[], Any]) -> None:
        self._open = opened
        self._call: Any = None
        self._turn = asyncio.Lock()
        self._number = 0

    async def ask(self, message: Callable[[int], Any]) -> Any:
        async with self._turn:
            if self._call is None or self._number >= _LAST_NUMBER:
                self.close()
                self._call, self._number = self._open(), 0
            self._number += 1
            written = False
            try:
                async with asyncio.timeout(ANSWER_TIME):
                    await self._call.write(message(self._number))
                    written = True
                    answer = await self._call.read()
                if answer is not _EOF:
                    return answer
                raise _error(await self._call.code(), written)
            except grpc.aio.AioRpcError as error:
                self.close()
                raise _error(error.code(), written) from None
            except (TimeoutError, asyncio.InvalidStateError, grpc.aio.UsageError) as error:
                self.close()
                raise (Uncertain if written else Unavailable)(
                    f"no answer from the build manager: {type(error).__name__}"
                ) from None
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None


def _error(code: grpc.StatusCode, written: bool) -> Exception:
    what = f"the build manager answered {code.name}"
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return Refused(what)
    return Uncertain(what) if written else Unavailable(what)


class Link:
    """The connection to one build manager, shared by every build followed. `address` is host:port, spoken in the clear, as Quay
    serves it within its own container."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channel: grpc.aio.Channel | None = None
        self._stub: rpc.BuildManagerStub | None = None
        self._logs: _Stream | None = None
        self._beats: _Stream | None = None

    def publisher(self, token: str) -> Publisher:
        """May be called from any thread."""
        return _JobPublisher(self, token)

    async def close(self) -> None:
        for stream in (self._logs, self._beats):
            if stream is not None:
                stream.close()
        if self._channel is not None:
            await self._channel.close(None)
        self._channel = self._stub = self._logs = self._beats = None

    def _opened(self) -> tuple[rpc.BuildManagerStub, _Stream, _Stream]:
        if self._stub is None or self._logs is None or self._beats is None:
            # A proxy is for what is outside; the default backoff would outlast a job's life.
            options = [("grpc.enable_http_proxy", 0), ("grpc.max_reconnect_backoff_ms", 2000)]
            self._channel = grpc.aio.insecure_channel(self._address, options=options)
            # Its methods make calls of the kind the channel is of.
            self._stub = rpc.BuildManagerStub(cast(grpc.Channel, self._channel))
            self._logs = _Stream(self._stub.LogMessage)
            self._beats = _Stream(self._stub.Heartbeat)
        return self._stub, self._logs, self._beats

    async def _set_phase(self, token: str, name: str, pull: Mapping[str, str]) -> bool:
        stub, _, _ = self._opened()
        fields: dict[str, Any] = {"job_jwt": token, "phase": rpc.PHASES.index(name.upper())}
        if pull:
            fields["pull_metadata"] = rpc.new("PullMetadata", **pull)
        try:
            answer = await stub.SetPhase(rpc.new("SetPhaseRequest", **fields), timeout=ANSWER_TIME)
        except grpc.aio.AioRpcError as error:
            raise _error(error.code(), True) from None
        return bool(answer.success)

    async def _log_message(self, token: str, text: str) -> bool:
        _, logs, _ = self._opened()
        body = json.dumps({"stream": text}, ensure_ascii=False)
        answer = await logs.ask(lambda n: rpc.new("LogMessageRequest", job_jwt=token, sequence_number=n, log_message=body))
        return bool(answer.success)

    async def _heartbeat(self, token: str) -> bool:
        _, _, beats = self._opened()
        answer = await beats.ask(lambda _: rpc.new("HeartbeatRequest", job_jwt=token))
        return bool(answer.reply)


class Connections:
    """What a Follower takes for `connect`: publishers over one Link. `token` is asked once for each build that is followed, for a
    job token of Quay's; it may block."""

    def __init__(self, address: str, token: Callable[[BuildJob], str]) -> None:
        self._link = Link(address)
        self._token = token

    def __call__(self, job: BuildJob) -> Publisher:
        return self._link.publisher(job.token or self._token(job))

    async def close(self) -> None:
        await self._link.close()


class _JobPublisher:
    def __init__(self, link: Link, token: str) -> None:
        self._link, self._token = link, token

    async def set_phase(self, name: str, pull: Mapping[str, str]) -> bool:
        return await self._link._set_phase(self._token, name, pull)

    async def log_message(self, text: str) -> bool:
        return await self._link._log_message(self._token, text)

    async def heartbeat(self) -> bool:
        return await self._link._heartbeat(self._token)
