"""Changes to a table: more methods, other hyper-parameters, a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import product
from typing import Any

from .. import methods, settings
from ..errors import UsageError, unknown_name
from . import blind, known
from .run_table import kind_of
from .spec import Entrant, Source, Table, Task


def joined(table: Table, names: Sequence[str]) -> Table:
    """Adds methods to a table, in all tasks that they can do.

    In quick runs they have the settings of `pellucid bench blind --quick` and `known --quick`.

    Args:
        table: which.
        names: what `methods.find` takes.

    Raises:
        UsageError: the method is unknown, takes part already, or needs an operator that no task has.
    """
    entrants = list(table.methods)
    for name in names:
        if name in {entrant.label for entrant in entrants}:
            raise UsageError(f"{name} takes part in {table.name} already")
        tasks = tuple(task.name for task in table.tasks if methods.find(name).blind or task.operator)
        if not tasks:
            raise UsageError(f"{name} needs the degradation, which no task of {table.name} has")
        told = {task.name: _quick_told(name) for task in table.tasks if task.operator and task.name in tasks}
        entrants.append(Entrant(name, name, quick=_quick_blind(name), quick_per_task=told, tasks=tasks))
    return replace(table, methods=tuple(entrants))


def _quick_blind(name: str) -> dict[str, Any]:
    return dict(blind.QUICK.get(name, {}))


def _quick_told(name: str) -> dict[str, Any]:
    """Settings of `known --quick` that differ from the method's defaults."""
    quick = known.QUICK.get(name)
    if quick is None:
        return {}
    usual = asdict(methods.get(name))  # type: ignore[call-overload]  # a dataclass
    return {key: value for key, value in asdict(quick).items() if value != usual[key]}  # type: ignore[call-overload]


def with_settings(table: Table, texts: Mapping[str, str]) -> Table:
    """Changes hyper-parameters of some of a table's methods.

    Args:
        table: which.
        texts: typed values by METHOD.KEY. METHOD is a label of the table, or the name of a method for all its entrants.

    Raises:
        UsageError: unknown method or hyper-parameter, or an unreadable value.
    """
    entrants = list(table.methods)
    for key, text in texts.items():
        label, dot, field = key.rpartition(".")
        if not dot:
            raise UsageError(f"--set takes METHOD.KEY=VALUE here, such as {entrants[0].label}.{key}={text}")
        named = [i for i, one in enumerate(entrants) if label in (one.label, one.method)]
        if not named:
            raise unknown_name(f"method of {table.name}", label, {one.label for one in entrants})
        for index in named:
            one = entrants[index]
            value = settings.parse(kind_of(one), one.label, {field: text})
            entrants[index] = replace(one, chosen=one.chosen | value)
    return replace(table, methods=tuple(entrants))


def sweep(method: str, over: Mapping[str, str], damages: Sequence[str], fixed: Mapping[str, str]) -> Table:
    """Makes a table of one method with every combination of some hyper-parameters' values.

    Args:
        method: argument of `methods.find`; a method that works without an operator.
        over: values with commas between them, by hyper-parameter.
        damages: arguments of `degradations.get`; each is a task.
        fixed: other hyper-parameters, one value each.

    Raises:
        UsageError: unknown method or hyper-parameter, an unreadable or repeated value, or a method that needs an
            operator.
    """
    kind = methods.find(method)
    if not kind.blind:
        raise UsageError(f"{method} needs the degradation: take a table, with --set METHOD.KEY=VALUE")
    if not over:
        raise UsageError("a sweep needs --over KEY=A,B,C")
    usual = settings.parse(kind, method, fixed)
    columns = []
    for key, text in over.items():
        values = text.split(",")
        if len(set(values)) < len(values):
            raise UsageError(f"--over {key}={text}: a value is there twice")
        columns.append([(f"{key}={value}", settings.parse(kind, method, {key: value})) for value in values])
    entrants = []
    for combination in product(*columns):
        own = usual.copy()
        for _, value in combination:
            own |= value
        entrants.append(Entrant(", ".join(label for label, _ in combination), method, settings=own))
    about = f"pellucid's own: {method} over {', '.join(over)}; no table of a paper's"
    return Table(
        title=f"{method} with every combination of {', '.join(over)}",
        paper=about,
        data=(Source("folder", "any", 1),),
        tasks=tuple(Task(damage, damage={"name": damage}) for damage in dict.fromkeys(damages)),
        methods=tuple(entrants),
        metrics=("psnr", "ssim", "lpips"),
        name=f"sweep-{method.replace('/', '-').replace(':', '-')}",
    )
