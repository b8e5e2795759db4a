"""A run of a small model on random images."""

import json

from support.builders import small_data, small_vae

from pyrovae import Run, fit


def trained(path, epochs=2, data=None, **settings):
    """Train a small model in a new run folder; return the run and its fit."""
    vae, config = small_vae(epochs=epochs, **settings)
    fitting = fit(vae, small_data(pixels=config.pixels) if data is None else data, config)
    run = Run.create(path, config)
    for record in fitting:
        run.record(record, fitting)
    run.finish(fitting)
    return run, fitting


def leave_out_digests(run):
    """Make summary.json as the first versions wrote it, and as somebody else could."""
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    summary.pop("sha256", None)
    (run / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
