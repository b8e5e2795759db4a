import pytest

from pyrovae import InputError
from pyrovae.parts.registry import call, lookup


def test_a_constructor_is_given_what_it_names():
    assert call("prior", lambda a, c=3: (a, c), {"a": 1, "b": 2}) == (1, 3)
    with pytest.raises(InputError, match="asks for 'd', expected one of a, b"):
        call("prior", lambda a, d: (a, d), {"a": 1, "b": 2})


def test_lookup_finds_members_and_ones_own():
    members = {"mlp": int, "conv": float}
    assert lookup("network", "conv", members) is float
    assert lookup("network", "collections:OrderedDict", members).__name__ == "OrderedDict"
    for name in ("cnv", "collections:Nothing", "no_such_module:A", "no_such_file.py:A"):
        with pytest.raises(InputError, match="network: expected"):
            lookup("network", name, members)
