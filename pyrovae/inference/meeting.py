"""Where the processes of a training meet before they train: they compare settings, and hear of each other's faults."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any, TypeVar

from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]  # public, says the manual

from pyrovae.errors import InputError, whole_from_environment

T = TypeVar("T")
PATIENCE = timedelta(minutes=10)  # the first process may have to download the data
REFUSED, UNREACHABLE = 120.0, 20.0  # seconds for the first process to start; for its machine to be reached
ANSWER = 10.0  # seconds for a store to answer; torch itself waits for ever for a program that is no store
LINGER = 10.0  # seconds that a process which has failed waits for the others to hear of it
POLL = 0.02
START = "start all processes by torchrun, or with the same MASTER_ADDR and MASTER_PORT, and RANK from 0"


class Lost(RuntimeError):
    """Another process of this training has ended, or cannot be reached."""


def place() -> tuple[int, int]:
    """Return the rank of this process and the number of processes, as `torchrun` sets them in the environment."""
    size = whole_from_environment("WORLD_SIZE", 1, default=1)
    return (whole_from_environment("RANK", 0, size - 1), size) if size > 1 else (0, 1)


class Meeting:
    """The messages of all processes of a training, in rounds: in each round every process leaves one and reads all."""

    def __init__(self) -> None:
        self.rank, self.size = place()
        self.store = PrefixStore("pyrovae", _store(self.rank))
        self.groups = (PrefixStore(f"group{number}", self.store) for number in count())
        self.round, self.over = 0, False

    def expect_same(self, texts: dict[str, str], patience: timedelta = PATIENCE) -> None:
        """Raise `InputError` if a text differs between processes, or with the fault of a process that has failed."""
        self._leave("same", texts)
        first: dict[str, str] = {}
        for rank in range(self.size):
            kind, theirs = self._read(rank, patience)
            if kind == "fault":
                self._part()
                raise InputError(f"rank {rank}: {theirs}")
            first = first or theirs
            for what in first | theirs:
                one, other = first.get(what, "nothing"), theirs.get(what, "nothing")
                if one != other:
                    self._part()
                    raise InputError(f"{what}: expected the same on all ranks, got {one} on 0 and {other} on {rank}")

    def fail(self, fault: str) -> None:
        """Leave the fault of this process for the others, and wait a little until they have read it."""
        if not self.over:
            self._leave("fault", fault)
            self._part()

    def _leave(self, kind: str, content: object) -> None:
        self.round += 1
        self._asked(self.store.set, f"{self.round}/{self.rank}", json.dumps([kind, content]))

    def _read(self, rank: int, patience: timedelta) -> Any:
        key, end = f"{self.round}/{rank}", time.monotonic() + patience.total_seconds()
        while not self._asked(self.store.check, [key]):  # the store's own waiting could not be interrupted
            if time.monotonic() > end:
                raise Lost(f"lost another process of this training (no word from rank {rank} for {patience})")
            time.sleep(POLL)
        return json.loads(self._asked(self.store.get, key))

    def _part(self) -> None:
        """Wait until all know that the training is over, as the first process may hold the messages of all."""
        self.over = True
        end = time.monotonic() + LINGER
        try:
            self._asked(self.store.add, "over", 1)
            while self._asked(self.store.add, "over", 0) < self.size and time.monotonic() < end:
                time.sleep(POLL)
        except Lost:  # the first process has ended: it has waited for this one
            pass

    def _asked(self, request: Callable[..., T], *args: object) -> T:
        try:
            return request(*args)
        except RuntimeError as error:
            raise Lost("lost the first process of this training (connection closed)") from error


@cache
def meeting() -> Meeting:
    """Return the meeting that this process takes part in as long as it lives. Raises `InputError` if there is none."""
    return Meeting()


def _store(rank: int) -> Store:
    """Open the store of the messages: that of `torchrun`, or one that the first process holds."""
    address, port = os.environ.get("MASTER_ADDR", ""), whole_from_environment("MASTER_PORT", 1, 65535)
    if not address:
        raise InputError(f"MASTER_ADDR: expected the machine of the first process, got nothing; {START}")
    try:
        socket.getaddrinfo(address, port)
    except (OSError, UnicodeError) as error:
        raise InputError(f"MASTER_ADDR: expected a machine that is known, got {address!r} ({error}); {START}") from None
    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    server = _within(ANSWER, _held, port) if rank == 0 and not agent else None
    _reach(address, port, ANSWER if server else REFUSED)
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return PrefixStore(attempt, server or _within(ANSWER, _joined, address, port))


def _held(port: int) -> Store:
    try:
        return TCPStore("localhost", port, None, True, PATIENCE, wait_for_workers=False)
    except RuntimeError as error:
        why = "which another program uses" if "EADDRINUSE" in str(error) else "which cannot be opened"
        raise InputError(
            f"MASTER_PORT: expected a free port, got {port}, {why}; give all processes another one"
        ) from None


def _joined(address: str, port: int) -> Store:
    try:
        return TCPStore(address, port, None, False, PATIENCE, wait_for_workers=False)
    except RuntimeError:
        raise _no_store(address, port) from None


def _no_store(address: str, port: int) -> InputError:
    return InputError(
        f"MASTER_PORT: expected the first process at {address}:{port}, got another program; "
        "give all processes another port"
    )


def _reach(address: str, port: int, patience: float) -> None:
    """Wait until something listens there. torch would wait too, but print a page for each time that it tried."""
    start = time.monotonic()
    while True:
        try:
            return socket.create_connection((address, port), 2.0).close()
        except OSError as error:
            limit = patience if isinstance(error, ConnectionRefusedError) else min(patience, UNREACHABLE)
            if time.monotonic() - start > limit:
                place, reason = f"{address}:{port}", error.strerror or error
                raise InputError(
                    f"MASTER_ADDR: expected the first process at {place}, got: {reason}; {START}"
                ) from None
        time.sleep(0.1)


def _within(seconds: float, make: Callable[..., Store], *args: Any) -> Store:
    """Return what `make` does, in a thread that is left alone if it does not end in time."""
    results: list[Store | Exception] = []

    def run() -> None:
        try:
            results.append(make(*args))
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not results:
        raise _no_store(*args[-2:]) if len(args) > 1 else InputError(f"MASTER_PORT: no answer at port {args[0]}")
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]
