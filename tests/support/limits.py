"""Limits for tests of hostile data: a time, a memory, and no network."""

import resource
import signal
import urllib.request
from urllib.error import URLError

import pytest


def refuse_network(patch):
    """Let every download fail at once."""

    def refuse(*_args, **_kwargs):
        raise URLError("no network in tests")

    patch.setattr(urllib.request, "urlopen", refuse)


def fail_after(seconds):
    """Fail the running test if it takes longer; 0 lifts the limit."""

    def late(*_):
        pytest.fail(f"not done in {seconds} seconds")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)


def peak_memory():
    """The largest memory that this process has used, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
