"""Choose how many CPU threads a repeated piece of work takes, by the time that each unit of it took.

Alone on the machine, all cores are the fastest. Beside another busy process one thread often is, because OpenMP's
threads wait for each other at every operation: a unit then takes up to fifty times as long.
"""

import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from pyrovae.inference.processes import size

NAMING = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # variables by which a user names the number of threads
# Costs are means over blocks of units. A block is long enough for the scheduler to change processes many times in it:
# a unit shorter than its turns is either undisturbed or much disturbed, and says little.
BLOCK = 0.05  # seconds, at least
RISEN = 1.2  # a cost so many times the best one is a loss
BAD = 2.0  # a trial ends at a unit that takes so many times the cost
SHARE = 0.04  # of all time may be lost in trials
TRIALS = 0.1  # of all time may be spent in trials, whether it is lost or not
MOST = 60  # units; no trial counts as dearer, in case the process was stopped in the middle of it

_counts: tuple[int, ...] | None = None  # what `counts` returns inside `using`


class Choice:
    """The choice between two numbers of threads: use `count` for the next unit, and tell `took` how long that took.

    It keeps to the cheaper number, and tries the other now and then. It saves for a trial: 4 % of all time, and with
    more than one thread all that is lost since the cost has risen, as it does when another process comes. Once as much
    is saved as the last trial has lost, it can afford the next. The first unit after a change wakes OpenMP's threads,
    and does not count.
    """

    def __init__(self, counts: tuple[int, ...]) -> None:
        self.counts, self.count, self.usual = counts, counts[0], counts[0]
        self._means: deque[float] = deque(maxlen=3)  # of the last blocks with the usual count
        self._best = self._saved = self._price = 0.0
        self._waking: float | None = None  # of the block under way: its first unit, if that does not count,
        self._seconds, self._units = 0.0, 0  # and those that count

    @property
    def cost(self) -> float:
        """The seconds that a unit takes at present with the usual count."""
        return statistics.median(self._means)

    def took(self, seconds: float) -> None:
        """Take note that a unit took so long with `count` threads."""
        if len(self.counts) == 1:
            return
        if self._waking is None:
            self._waking = seconds
        else:
            self._seconds, self._units = self._seconds + seconds, self._units + 1
        trying = self.count != self.usual
        if trying and self._waking + self._seconds >= BLOCK and seconds > BAD * self.cost:
            self._end_trial(seconds)
        elif self._seconds >= BLOCK:
            (self._end_trial if trying else self._end_block)(self._seconds / self._units)

    def _begin(self, waking: float | None = None) -> None:
        """Begin a block of units. Without the seconds of a `waking` unit, the next unit is one."""
        self._waking, self._seconds, self._units = waking, 0.0, 0

    def _end_block(self, mean: float) -> None:
        """Save for the next trial, and begin it if it can be afforded."""
        self._means.append(mean)
        self._best = min(self._best or mean, self.cost)
        self._saved += SHARE * self._seconds
        if self.usual > self.counts[0]:  # beside another process, fewer threads may be faster; more are not
            self._saved += max(0.0, self.cost - RISEN * self._best) * self._units
        self._begin(0.0)
        if self._saved >= self._price:
            self.count = next(count for count in self.counts if count != self.usual)
            self._begin()

    def _end_trial(self, mean: float) -> None:
        """Keep the count that was tried if it is the cheaper one, and set the price of the next trial."""
        cost, spent = self.cost, (self._waking or 0.0) + self._seconds
        lost = spent - (self._units + 1) * cost
        if mean < cost:
            self.usual, lost = self.count, cost - mean  # the other count is now the dearer one: a trial is one bad unit
            self._means.clear()
            self._means.append(mean)
        self.count, self._best, self._saved = self.usual, self.cost, 0.0
        self._price = min(max(lost, SHARE / TRIALS * spent), MOST * self.cost)
        self._begin()


class Threads:
    """Runs the units of a repeated piece of work on as many threads as pay: `with threads.measured(): step()`.

    The choice is among `counts`; on CUDA, and among several processes that train together, torch's number of threads
    stays. `used` are the numbers that units ran on.
    """

    def __init__(self, device: torch.device, clock: Callable[[], float] = time.perf_counter) -> None:
        self.used: set[int] = set()
        self._device, self._clock, self._choice = device, clock, Choice((1,))

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Run a unit inside, and measure it; a unit that raises an error does not count."""
        choice = self._current()
        with using(choice.count):
            start = self._clock()
            yield
            seconds = self._clock() - start
        self.used.add(choice.count)
        choice.took(seconds)

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """Run other work inside, on as many threads as units take at present."""
        with using(self._current().usual):
            yield

    def _current(self) -> Choice:
        among = counts() if self._device.type == "cpu" and size() == 1 else (torch.get_num_threads(),)
        if among != self._choice.counts:
            self._choice = Choice(among)
        return self._choice


def counts() -> tuple[int, ...]:
    """The numbers of threads to choose among: one and all, torch's number; or a single one if a user has named it.

    It is named by `using`, or by an environment variable of `NAMING`.
    """
    if _counts is not None:
        return _counts
    most = torch.get_num_threads()
    return (most,) if most == 1 or any(name in os.environ for name in NAMING) else (1, most)


@contextmanager
def using(count: int | None, among: tuple[int, ...] = ()) -> Iterator[None]:
    """Run what is inside on so many threads, of which each `Threads` makes use, too; None changes nothing.

    With `among`, a `Threads` inside chooses among these.
    """
    global _counts
    if count is None:
        yield
        return
    before, outer = torch.get_num_threads(), _counts
    if count != before:
        torch.set_num_threads(count)
    _counts = among or (count,)
    try:
        yield
    finally:
        _counts = outer
        if count != before:
            torch.set_num_threads(before)


@contextmanager
def few() -> Iterator[None]:
    """Run work that is not repeated on the fewest of the `counts`; a `Threads` inside chooses among all of them."""
    with using(counts()[0], counts()):
        yield
