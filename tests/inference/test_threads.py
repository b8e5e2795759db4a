"""The choice between one thread and all, on a clock of its own: a simulated machine, exact and without a wait."""

from contextlib import suppress
from itertools import groupby, pairwise

import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import Config, annealed_log_likelihoods, fit, log_likelihoods
from pyrovae.evaluation.latents import report
from pyrovae.inference import compiled, seeded
from pyrovae.inference.threads import MOST, NAMING, SHARE, Choice, Threads, counts, few, using

CPU, ALL = torch.device("cpu"), 2


class Machine:
    """Runs units by a `Choice`; `speeds(time)` are the seconds that a unit takes at that time, by count."""

    def __init__(self, speeds, waking=0.0):
        self.choice, self.speeds, self.waking = Choice((1, ALL)), speeds, waking
        self.time, self.last, self.units = 0.0, None, []  # (start, count, usual, seconds)

    def run_until(self, time):
        while self.time < time:
            count, usual = self.choice.count, self.choice.usual
            seconds = self.speeds(self.time)[count] + self.waking * (count != self.last)
            self.units.append((self.time, count, usual, seconds))
            self.choice.took(seconds)
            self.time, self.last = self.time + seconds, count
        return self

    def ratio(self, start, end):
        """The time of the units in between, over that of the same units with the count that was better then."""
        units = [(time, seconds) for time, _, _, seconds in self.units if start <= time < end]
        return sum(seconds for _, seconds in units) / sum(min(self.speeds(time).values()) for time, _ in units)

    def trials(self):
        """The units of each trial."""
        groups = groupby(self.units, lambda unit: unit[1] != unit[2])
        return [list(units) for trying, units in groups if trying]


SPEEDS = {  # seconds of a unit with one thread and with all, over those of the faster one
    "alone": (1.8, 1.0),
    "beside another": (1.0, 2.1),
    "threads that wait at every operation": (1.0, 50.0),
    "many cores": (30.0, 1.0),
    "no difference": (1.0, 1.0),
}


@pytest.mark.parametrize("unit", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("speeds", SPEEDS.values(), ids=SPEEDS)
def test_a_machine_that_stays_the_same_costs_four_percent(speeds, unit):
    one, every = (unit * speed for speed in speeds)
    machine = Machine(lambda time: {1: one, ALL: every}).run_until(20_000 * unit)
    assert machine.ratio(3000 * unit, 20_000 * unit) < 1.05
    assert machine.ratio(0, 20_000 * unit) < 1.15


@pytest.mark.parametrize("waiting", [2.1, 50.0])
def test_a_neighbour_that_comes_is_noticed_and_one_that_goes_too(waiting):
    """Units of 10 ms; another process is busy from 60 s to 120 s."""
    busy = {1: 0.018, ALL: 0.01 * waiting}
    machine = Machine(lambda time: busy if 60 <= time < 120 else {1: 0.018, ALL: 0.01}).run_until(180)
    assert machine.ratio(1, 60) < 1.06
    assert machine.ratio(65, 120) < 1.06
    assert machine.ratio(140, 180) < 1.06
    came = next(time for time, count, _, _ in machine.units if time >= 60 and count == 1)
    assert came < 60 + 4 * busy[ALL] + 1


def test_a_trial_is_paid_off_before_the_next_one():
    """All threads take fifty times as long: a trial is one unit, and costs less than 4 % of the time up to the next."""
    trials = Machine(lambda time: {1: 0.01, ALL: 0.5}).run_until(60).trials()
    assert {len(units) for units in trials} == {1}
    assert len(trials) > 3
    for ((time, _, _, seconds),), (next_unit,) in pairwise(trials):
        assert (0.5 - 0.01) / (next_unit[0] - time - seconds) <= SHARE * 1.01


def test_the_first_unit_with_other_threads_does_not_count():
    """Waking threads takes nearly as long as the unit; all threads are the faster ones all the same."""
    machine = Machine(lambda time: {1: 0.04, ALL: 0.03}, waking=0.045).run_until(10)
    assert machine.choice.usual == ALL
    compiling = Machine(lambda time: {1: 100.0 if time == 0 else 0.01, ALL: 0.02}).run_until(110)
    assert compiling.choice.usual == 1
    assert compiling.choice.cost == pytest.approx(0.01)


def test_a_unit_that_was_stopped_for_an_hour_forbids_no_trials():
    machine = Machine(lambda time: {1: 0.02, ALL: 3600.0 if time < 10 else 0.01}).run_until(3600)
    assert machine.choice.usual == 1
    machine.run_until(machine.time + 2 * MOST * 0.02 / SHARE)
    assert machine.choice.usual == ALL


def test_units_shorter_than_the_turns_of_the_scheduler_are_judged_by_their_mean():
    """With all threads most units take 1 ms, and each fifth one 30 ms; with one thread all take 2 ms."""
    choice, seconds = Choice((1, ALL)), 0.0
    for unit in range(50_000):
        took = 0.002 if choice.count == 1 else 0.030 if unit % 5 == 0 else 0.001
        seconds += took
        choice.took(took)
    assert choice.usual == 1
    assert seconds < 1.06 * 50_000 * 0.002


# --- torch's threads ---


def test_units_run_on_the_chosen_threads_and_torch_has_its_own_again(two_threads):
    now = 0.0
    threads = Threads(CPU, clock=lambda: now)
    seen = []
    for _ in range(2000):
        with threads.measured():
            seen.append(torch.get_num_threads())
            assert counts() == (seen[-1],)  # work inside chooses nothing else
            now += 0.02 if seen[-1] == 1 else 0.01
        assert torch.get_num_threads() == ALL
    assert seen[0] == 1
    assert seen.count(ALL) > 1800
    assert threads.used == {1, ALL}
    with threads.chosen():
        assert torch.get_num_threads() == ALL


def test_a_unit_that_fails_gives_torch_its_threads_back(two_threads):
    threads = Threads(CPU)
    with suppress(ZeroDivisionError), threads.measured():
        assert torch.get_num_threads() == 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == ALL
    assert threads.used == set()


def test_a_number_that_is_named_stays(two_threads, monkeypatch):
    def used(device=CPU):
        threads = Threads(device)
        with threads.measured():
            pass
        return threads.used

    assert used() == {1}
    assert used(torch.device("cuda")) == {ALL}
    with using(3):
        assert (used(), counts()) == ({3}, (3,))
    with using(None):
        assert used() == {1}
    for name in NAMING:
        with monkeypatch.context() as patch:
            patch.setenv(name, "2")
            assert (used(), counts()) == ({ALL}, (ALL,))
            with few():
                assert torch.get_num_threads() == ALL


def test_work_that_is_not_repeated_takes_one_thread_and_repeated_work_inside_chooses(two_threads):
    with few():
        assert torch.get_num_threads() == 1
        assert counts() == (1, ALL)
    assert torch.get_num_threads() == ALL


@pytest.mark.parametrize("compile", ["no", "yes"])
def test_a_training_whose_threads_change_in_the_middle_has_the_losses_of_one_thread(compile, alternating):
    records = {}
    for threads in (1, None):
        vae, config = small_vae(
            (1, 16, 16), hidden=(128,), batch_size=100, threads=threads, compile="no" if threads else compile
        )
        training = fit(vae, small_data(n=400, shape=(1, 16, 16)), config)
        records[threads] = [{**record["train"], **record["test"]} for record in training]
    assert training.state.threads == [1, 2]
    assert records[None] == [pytest.approx(record, rel=1e-4) for record in records[1]]


def test_loops_are_compiled_for_any_number_of_threads_if_it_may_change(two_threads, monkeypatch):
    options = []
    monkeypatch.setattr(compiled, "compile_by_inductor", lambda graph, inputs, given: options.append(given) or graph)
    compiled.capture(lambda x: (x.exp(),), torch.rand(3))
    with using(2):
        compiled.capture(lambda x: (x.exp(),), torch.rand(3))
    assert [given["cpp.dynamic_threads"] for given in options] == [True, False]


def test_a_fit_takes_the_threads_that_its_config_names(two_threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    vae, config = small_vae(threads=3, epochs=1)
    training = fit(vae, small_data(), config)
    list(training)
    assert training.state.threads == [3]
    assert torch.get_num_threads() == ALL
    assert "threads" not in Config().to_toml()


def test_evaluations_on_changing_threads_have_the_numbers_of_one_thread(alternating):
    vae, _ = small_vae(posterior="full")
    data = small_data(n=60)

    def numbers():
        with seeded(0):
            parts = [
                *log_likelihoods(vae, data, data.test, samples=100),
                *annealed_log_likelihoods(vae, data, data.test[slice(0, 10)], chains=4, steps=10),
            ]
            return torch.cat([part["log_likelihood"] for part in parts]), report(vae, data)

    with using(1):
        expected, latents = numbers()
    scores, others = numbers()
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=0)
    assert others == pytest.approx(latents, rel=1e-4)
