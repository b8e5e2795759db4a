"""What Inductor writes for a GPU: kernels of Triton, products and draws, and nothing that makes the host wait."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch
from support.builders import ROOT

DRAWS = {"aten.normal_functional.default", "aten.rand.default"}  # torch's own, as an eager step has


@pytest.mark.skipif(
    torch.cuda.is_available(), reason="there is CUDA, where the tests marked `cuda` run what is written"
)
def test_a_step_is_kernels_products_and_draws():
    pytest.importorskip("triton", reason="no Triton: it comes with torch for CUDA")
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "support.triton_code", json.dumps({"pixels": "dynamic"})]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    (code,) = json.loads(done.stdout)
    called = code[code.index("def call(") : code.index("runner = ")]
    lines = [line for line in called.splitlines() if not line.strip().startswith("#")]
    operations = {name for line in lines for name in re.findall(r"torch\.ops\.(\S+?)\(", line)}
    assert operations == DRAWS
    assert {name for line in lines for name in re.findall(r"extern_kernels\.(\w+)", line)} <= {"mm", "addmm", "bmm"}
    assert not [line for line in lines if re.search(r"cpu|\.item\(|\.copy_\(|synchronize", line)]
    assert 5 < code.count("@triton.jit") < 30
