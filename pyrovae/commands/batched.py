"""Train several run folders as one batched program."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

from pyrovae.commands.threads import use_threads
from pyrovae.data.loading import load
from pyrovae.programs.build import build_for
from pyrovae.runs.files import only_writer
from pyrovae.runs.run import Run
from pyrovae.training.batched import fit_batched
from pyrovae.training.fit import Fit, fit


def train_batched(runs: Sequence[Run], settings: Mapping[str, object]) -> FloatingPointError | None:
    """Train the runs as one batched program, each from its checkpoint if it has one; `settings` override all configs.

    A run whose loss was not finite stays unfinished; returns the error of the first such run, or None.
    """
    with ExitStack() as locks:
        for run in runs:
            locks.enter_context(only_writer(run.path))
        fits = list(_begin(runs, settings))
        use_threads(fits[0])
        return _train(list(zip(runs, fits)))


def _begin(runs: Sequence[Run], settings: Mapping[str, object]) -> Iterator[Fit]:
    data = load(runs[0].trusted.replace(**settings))
    for run in runs:
        config = run.trusted.replace(**settings)
        begun = fit(build_for(config, data), data, config)
        if run.begun:
            run.resume(begun, config)
        else:
            Run.create(run.path, config, force=True).save(begun)
        yield begun


def _train(pairs: Sequence[tuple[Run, Fit]]) -> FloatingPointError | None:
    for run, member in pairs:
        if member.step:  # it was stopped in the middle of an epoch: finish that epoch alone
            run.record(next(iter(member)), member)
    failed: dict[str, FloatingPointError] = {}
    for epoch in {member.epoch for _, member in pairs}:  # two, if a kill came before all runs had saved an epoch
        group = [(run, member) for run, member in pairs if member.epoch == epoch]
        for records in fit_batched([member for _, member in group]):
            for (run, member), record in zip(group, records):
                if isinstance(record, FloatingPointError):
                    failed[str(run.path)] = record
                else:
                    run.record(record, member)
        for run, member in group:
            if str(run.path) not in failed:
                run.finish(member)
    return next(iter(failed.values()), None)
