"""The lower bounds of pyproject.toml admit no version with a known hole; `.ci/oldest` installs them and runs tests."""

import re
import tomllib

import pytest
from packaging.version import Version
from support.builders import ROOT

# For each package: the first version without the hole. A new hole is one line more.
HOLES = [
    ("torch", "2.6", "CVE-2025-32434: torch.load(weights_only=True) runs code"),
    ("torch", "2.10", "CVE-2026-24747: torch.load(weights_only=True) corrupts memory"),
    ("filelock", "3.20.1", "CVE-2025-68146: a link in place of a lock file is followed and its target emptied"),
    ("filelock", "3.20.3", "CVE-2026-22701: the same for soft locks"),
    ("pillow", "10.0.1", "CVE-2023-4863: a WebP image overflows a buffer"),
    ("pillow", "10.2", "CVE-2023-50447: ImageMath runs code"),
    ("pillow", "10.3", "CVE-2024-28219: a colour profile overflows a buffer"),
    ("jinja2", "3.1.4", "CVE-2024-34064: xmlattr takes keys that inject attributes"),
    ("jinja2", "3.1.6", "CVE-2025-27516: a template leaves its sandbox"),
    ("pydantic", "2.4", "CVE-2024-3772: a text takes exponential time"),
    ("scikit-learn", "1.5", "CVE-2024-5206: a vectoriser stores the words that it was told to leave out"),
]


def bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    return dict(match.groups() for one in required if (match := re.fullmatch(r"([\w.-]+)>=([\w.]+)", one)))


@pytest.mark.parametrize(("package", "sound", "hole"), HOLES, ids=[f"{package}-{sound}" for package, sound, _ in HOLES])
def test_no_version_with_a_known_hole_is_admitted(package, sound, hole):
    assert Version(bounds()[package]) >= Version(sound), hole
