"""Every setting, stated once. This file imports nothing, so that `pyrovae --help` stays fast."""
