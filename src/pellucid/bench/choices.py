"""Changes to a table: more methods, other hyper-parameters, a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any
from urllib.parse import quote

from .. import methods
from ..catalogue import tuned
from ..errors import UsageError, unknown_name
from ..methods import Method
from ..support import settings
from . import blind, known
from .entrants import differing, of_defaults
from .run_table import kind_of
from .spec import Entrant, Table, TableSource, TableTask


def joined(table: Table, names: Sequence[str], usual: bool = False) -> Table:
    """A table in which other methods take part, too, in all tasks that they can do.

    In quick runs they have the settings of `pellucid bench blind --quick` and `known --quick`.

    Args:
        table: which.
        names: what `methods.find` takes.
        usual: whether they have their own defaults also where their papers have others.

    Raises:
        UsageError: the method is unknown, takes part already, or needs an operator that no task has.
    """
    entrants = list(table.methods)
    for name in names:
        if name in {entrant.label for entrant in entrants}:
            raise UsageError(f"{name} takes part in {table.name} already")
        tasks = tuple(task.name for task in table.tasks if methods.find(name).blind or task.operator)
        if not tasks:
            raise UsageError(f"{name} must be told the degradation, which no task of {table.name} says")
        own = of_defaults(name) if usual else {}
        few = _quick(name, [task for task in table.tasks if task.name in tasks])
        entrants.append(Entrant(name, name, own, quick_per_task=few, tasks=tasks))
    return replace(table, methods=tuple(entrants))


def _quick(name: str, tasks: Iterable[TableTask]) -> dict[str, dict[str, Any]]:
    """The settings of `known --quick` where the degradation is told, and of `blind --quick` elsewhere, by task."""
    return {task.name: differing(few, name) for task in tasks if (few := _few(name, task)) is not None}


def _few(name: str, task: TableTask) -> Method | None:
    if task.operator:
        told = tuned.told_named(name, task.operator["name"])
        if told is not None:
            return methods.get(name, **told)
    if name not in tuned.BLIND:
        return None
    return blind.contestants(task.name, [name], quick=True)[name]


def of_methods(
    names: Sequence[str], texts: Mapping[str, str], quick: Callable[[str], dict[str, Any]] = lambda _: {}
) -> dict[str, dict[str, Any]]:
    """Hyper-parameters by method.

    Args:
        names: what `methods.find` takes.
        texts: by METHOD.KEY, what is typed.
        quick: gives those that a method has when nothing is typed, by its name.

    Raises:
        UsageError: there is no such method or hyper-parameter, it is none of these methods, or a text cannot be read.
    """
    found: dict[str, dict[str, Any]] = {name: quick(name) for name in names}
    for key, text in texts.items():
        label, dot, field = key.rpartition(".")
        if not dot:
            raise UsageError(f"--set takes METHOD.KEY=VALUE here, not {key}={text}")
        if label not in found:
            raise unknown_name("method of this comparison", label, found)
        found[label] |= settings.parse(methods.find(label), label, {field: text})
    return found


def few_blind(name: str) -> dict[str, Any]:
    """The settings of `blind --quick`; none for a method that has no such."""
    return dict(tuned.BLIND.get(name, {}))


def few_told(name: str) -> dict[str, Any]:
    """The settings of `known --quick`, where nothing is said of the task; none for a method that has no such."""
    return dict(tuned.TOLD.get(name, {}))


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


def sweep(
    method: str,
    over: Mapping[str, str],
    damages: Sequence[str],
    fixed: Mapping[str, str],
    tasks: Sequence[str] = (),
) -> Table:
    """A table of one method with every combination of some hyper-parameters' values.

    Args:
        method: what `methods.find` takes.
        over: values with commas between them, by hyper-parameter.
        damages: what `degradations.get` takes; each is a task, of which methods are told nothing.
        fixed: other hyper-parameters, one value each.
        tasks: degradations that methods are told, as in `known.table`.

    Raises:
        UsageError: there is no such method, hyper-parameter or task; a text cannot be read; a value is there twice; the
            method can do nothing of it.
    """
    kind = methods.find(method)
    if damages and not kind.blind:
        raise UsageError(f"{method} must be told the degradation: say --task TASK, as for pellucid bench known")
    if not over:
        raise UsageError("a sweep needs --over KEY=A,B,C")
    if not damages and not tasks:
        raise UsageError("a sweep needs --damage, or --task for what methods are told")
    usual = settings.parse(kind, method, fixed)
    columns = []
    for key, text in over.items():
        if key in fixed:
            raise UsageError(f"{key} is in --over and in --set: once is enough")
        values = text.split(",")
        read = [settings.parse(kind, method, {key: value}) for value in values]
        if any(one in read[:place] for place, one in enumerate(read)):
            raise UsageError(f"--over {key}={text}: a value is there twice")
        columns.append([(f"{key}={value}", one) for value, one in zip(values, read, strict=True)])
    told = known.table(tasks).tasks if tasks else ()
    every = (*(TableTask(damage, damage={"name": damage}) for damage in dict.fromkeys(damages)), *told)
    if len({task.name for task in every}) < len(every):
        raise UsageError("a damage and a task of this sweep have one name: sweep them one by one")
    few = _quick(method, every)
    entrants = []
    for combination in product(*columns):
        own = usual.copy()
        for _, value in combination:
            own |= value
        label = ", ".join(label for label, _ in combination)
        # What is swept goes before what is quick.
        entrants.append(Entrant(label, method, quick_per_task=few, chosen=own))
    return Table(
        title=f"{method} with every combination of {', '.join(over)}",
        paper=f"pellucid's own: {method} over {', '.join(over)}; no table of a paper's",
        data=(TableSource("folder", "any", 1),),
        tasks=every,
        methods=tuple(entrants),
        metrics=("psnr", "ssim", "lpips"),
        name=f"sweep-{quote(method, safe='')}",
    )
