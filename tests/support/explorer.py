"""Small models for the explorer's page, and a node process that runs their programs as the page does."""

import json
import shutil
import subprocess
from importlib.resources import files

import pytest
import torch
from support.builders import small_data, small_vae
from support.likelihoods import LIKELIHOODS

from pyrovae.pages.explorer.export import TOLERANCES, TOLERANCES_OF_DRAWS, PictureModel

CLOSE = 1e-4  # the largest difference between what the browser and what PyTorch decodes
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="no node to run JavaScript with")


def picture_model(shape=(1, 8, 8), **settings):
    """A small model, with the arguments of its decoder and its encoder for three codes and three pictures."""
    pixels = LIKELIHOODS[settings.get("likelihood", "bernoulli")].domain[0]
    vae, config = small_vae(shape=shape, pixels=pixels, **({"latent_dim": 3} | settings))
    data = small_data(shape=shape, pixels=pixels)
    u, z = data.test.images[:3].float() / 255, torch.randn(3, config.latent_dim)
    if config.condition == "label":
        y = vae.context(torch.arange(3))
        return PictureModel(vae, data.pixels), {"z": z, "y": y}, {"u": u, "y": y}
    return PictureModel(vae, data.pixels), {"z": z} | ({} if config.condition == "none" else {"u": u}), {"u": u}


def tolerances_of(outputs):
    """By how much rounding may change outputs of these names."""
    return TOLERANCES | (TOLERANCES_OF_DRAWS if "draws" in outputs else {})


def row(tensors, i):
    return {name: tensor[i : i + 1] for name, tensor in tensors.items()}


def as_lists(tensors):
    return {name: tensor.flatten().tolist() for name, tensor in tensors.items()}


def run_in_node(cases):
    """Run programs by `nn.js`: the outputs for each (text of the store, program, list of arguments)."""
    sources = [(files("pyrovae.pages.explorer") / name).read_text(encoding="utf-8") for name in ("nn.js", "store.js")]
    script = (
        "".join(sources)
        + """
    const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
    (async () => {
      const results = [];
      for (const [text, program, calls] of cases) {
        const run = programOf(program, await unpacked(text)), plain = ([k, v]) => [k, Array.from(v, String)];
        results.push(calls.map(args => Object.fromEntries(Object.entries(run(args)).map(plain))));
      }
      process.stdout.write(JSON.stringify(results));
    })();
    """
    )
    done = subprocess.run([NODE, "-e", script], input=json.dumps(cases), capture_output=True, text=True, check=True)
    words = {"Infinity": "inf", "-Infinity": "-inf", "NaN": "nan"}
    return [
        [{k: torch.tensor([float(words.get(x, x)) for x in v]) for k, v in outputs.items()} for outputs in case]
        for case in json.loads(done.stdout)
    ]
