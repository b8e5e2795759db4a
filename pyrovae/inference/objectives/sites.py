"""What a trace holds."""

from typing import Any


def sample_sites(trace: Any) -> dict[str, Any]:
    return {name: node for name, node in trace.nodes.items() if node["type"] == "sample"}
