"""The registry finds classes by name, and calls them with the settings that they ask for."""

import pytest

from pyrovae import InputError
from pyrovae.parts.registry import call, lookup


def test_call_passes_the_arguments_that_a_function_asks_for():
    assert call("prior", lambda a, c=3: (a, c), {"a": 1, "b": 2}) == (1, 3)
    with pytest.raises(InputError, match="asks for 'd', expected one of a, b"):
        call("prior", lambda a, d: (a, d), {"a": 1, "b": 2})


def test_lookup_returns_members_and_classes_of_the_user():
    members = {"mlp": int, "conv": float}
    assert lookup("network", "conv", members) is float
    assert lookup("network", "collections:OrderedDict", members).__name__ == "OrderedDict"
    for name in ("cnv", "collections:Nothing", "no_such_module:A", "no_such_file.py:A"):
        with pytest.raises(InputError, match="network: expected"):
            lookup("network", name, members)
