from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pellucid.api import Restorer
from pellucid.errors import UsageError
from pellucid.jobs.executors import InProcess, Processes, find, names, usual
from pellucid.jobs.executors.trial import compare


def test_executors_by_name() -> None:
    assert names() == ("this", "processes", "ray")
    assert isinstance(find("this"), InProcess)
    assert find("processes", 3) == Processes(3)
    assert find("processes") == Processes(torch.get_num_threads())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("proceses",), "did you mean 'processes'"),
        (("this", 2), "--workers goes with"),
        (("processes", 0), "1 or more"),
        (("processes", 2, "auto"), "--address names a Ray cluster"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: tuple[str, int | None, str | None], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        find(*arguments)


def test_much_work_on_several_cores_goes_to_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert usual(10**9, 20, cpu) == "processes"
    assert usual(10**6, 20, cpu) == usual(10**9, 1, cpu) == usual(10**9, 20, torch.device("cuda")) == "this"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert usual(10**9, 20, cpu) == "this"


def test_a_trial_does_the_work_in_both_ways(tiny_prior: Path) -> None:
    one, several = compare(Restorer("denoise", tiny_prior, noise=0.1), 2, size=8)
    assert min(*one, *several) > 0
