"""Plan of a job: the output of each file, decided and checked before any work."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import images
from ..errors import PellucidError, UsageError
from ..maths.noise import derive_seed
from ..support.ranges import check_samples
from .search import MANIFEST, Left, expand, real, search
from .shard import Shard


@dataclass(frozen=True)
class Item:
    """One image of a job, or one of several samples of it.

    Attributes:
        source: the damaged file.
        target: the file to write.
        spare: names for it if the format of `target` cannot hold the picture, best first. There are none if a person
            named the output.
        name: path of the source relative to its input folder; "" for a single file. The image's seed depends on it, so
            that a folder gives the same bytes in any place.
        others: further exposures of the same image.
        sample: number of the restoration of the image, from 1 up; None for a single one.
        replaces: outputs of `names` that may replace another file. A file that appears there during the work belongs
            to somebody else.
        was: identity of an input to replace, at the start of the job: another job may replace it meanwhile.
    """

    source: Path
    target: Path
    name: str = ""
    spare: tuple[Path, ...] = field(default=(), compare=False, kw_only=True)
    others: tuple[Path, ...] = ()
    sample: int | None = None
    replaces: frozenset[Path] = field(default=frozenset(), compare=False)
    was: tuple[int, ...] | None = field(default=None, compare=False)

    @property
    def sources(self) -> tuple[Path, ...]:
        """All input files."""
        return (self.source, *self.others)

    @property
    def names(self) -> tuple[Path, ...]:
        """All names that its output may have, best first; see `images.fitting`."""
        return (self.target, *self.spare)

    @property
    def label(self) -> str:
        """Base name of side files, unique within the job."""
        name = self.name or self.source.name
        return name if self.sample is None else f"{name}-{self.sample}"

    def seed(self, run: int) -> int:
        """Seed of its noise in a run with this seed; the first sample has the seed of an image without samples."""
        return derive_seed(run, self.name, (self.sample or 1) - 1)


def plan(
    inputs: Sequence[Path],
    output: Path | None,
    *,
    in_place: bool = False,
    overwrite: bool = False,
    shard: Shard | None = None,
    samples: int = 1,
    owned: Callable[[Path], bool] | None = None,
    left: list[Left] | None = None,
) -> list[Item]:
    """Pairs each input image with its output file.

    A folder stands for all images below it, and its structure is kept. For a single input file, an output that ends
    like a file is a file; otherwise it is a folder. Outputs in a folder keep the input's name, with `.png` or `.tif`
    added if its format cannot be written. If another image keeps that name, the next of `images.targets_of` is taken.
    The first of several samples is NAME-1, whatever their number is.

    Args:
        inputs: files, folders and patterns. A missing file is kept; it fails in its turn.
        output: file or folder, or None with `in_place`.
        in_place: whether to overwrite the inputs.
        overwrite: whether to overwrite other existing files.
        shard: share of the outputs for this process; None for all.
        samples: number of restorations of each image.
        owned: tells if an existing output comes from an earlier run and may be replaced.
        left: receives files in the inputs' folders that are no images, and images that cannot be begun: unreadable
            ones, the second one for an output, those of a format that cannot be written with `in_place`. Names that
            differ only in upper and lower case count as equal. None raises an error instead.

    Raises:
        UsageError: neither or both of output and in_place; an output that is an input, or outside the output folder;
            an output that exists, or of a format that cannot be written; several samples in place, or in a folder of
            inputs.
        PellucidError: a folder without images, a pattern without files, or no image that can be begun.
    """
    if in_place and output is not None:
        raise UsageError("-o and --in-place exclude each other: leave one out")
    if not in_place and output is None:
        raise UsageError("say where to write: -o FILE, -o FOLDER, or --in-place to replace the inputs")
    _check_samples(expand(inputs), output, samples)
    found = search(inputs, output, left)
    problems: list[Left] = []
    if output is None:
        items = [Item(source, source, name) for source, name in _replaceable(found, problems)]
        items = _apart(items, problems, strict=True)
    elif output_folder(inputs, output) != output:
        images.check_suffix(output)
        items = _sampled([Item(source, output, name) for source, name in found], samples)
    else:
        if os.path.lexists(output) and not _is_folder(output):
            raise UsageError(f"{output}: is a file; several images need a folder")
        if output.suffix.lower() in images.SUFFIXES and not _is_folder(output):
            raise UsageError(f"{output}: is the name of a file; several images, and folders, need a folder")
        items = _apart([_named(source, output, name) for source, name in found], problems)
        items = _sampled(items, samples)
        _check_inside(items, output)
    if problems and (left is None or not items):
        raise UsageError(f"{problems[0].path}: {problems[0].why}")
    if left is not None:
        left += problems
    if not in_place:
        items = _no_inputs(items, found)
    items = items if shard is None else shard.of(sorted(items, key=lambda item: item.target.as_posix()))
    if in_place:
        return [replace(item, replaces=frozenset(item.names), was=state_of(item.source)) for item in items]
    if overwrite:
        return [replace(item, replaces=frozenset(item.names)) for item in items]
    folder = None if output is None else output_folder(inputs, output)
    return _new(items, owned, resumable=folder is not None and any(folder.glob(f"{MANIFEST}*.jsonl")))


def output_folder(inputs: Sequence[Path], output: Path) -> Path:
    """Output folder of a job: `output`, or its parent if it is the file of a single input."""
    inputs = expand(inputs)
    alone = len(inputs) == 1 and not _is_folder(inputs[0]) and output.suffix != "" and not _is_folder(output)
    return output.parent if alone else output


def plan_exposures(
    inputs: Sequence[Path],
    output: Path | None,
    *,
    overwrite: bool = False,
    samples: int = 1,
    owned: Callable[[Path], bool] | None = None,
) -> list[Item]:
    """Plans several exposures of one image: one item, or one for each sample.

    Args:
        inputs: files and patterns.
        output: file.
        overwrite: whether to overwrite it, if it exists.
        samples: see `plan`.
        owned: see `plan`.

    Raises:
        UsageError: fewer than two inputs, a folder among them, no output file, or one that exists, is an input or is of
            a format that cannot be written.
    """
    inputs = expand(inputs)
    folders = [source for source in inputs if _is_folder(source)]
    if folders:
        raise UsageError(f"{_EXPOSURES}" + "".join(f", not {f}" for f in folders))
    check_exposures(len(inputs))
    if output is None or not output.suffix or _is_folder(output):
        raise UsageError("several exposures become one image: say -o FILE")
    images.check_suffix(output)
    _check_samples(inputs, output, samples)
    items = _sampled([Item(inputs[0], output, others=tuple(inputs[1:]))], samples)
    items = _no_inputs(items, [(source, "") for source in inputs])
    return [replace(item, replaces=frozenset(item.names)) for item in items] if overwrite else _new(items, owned)


_EXPOSURES = "name the files of two or more exposures of one image"


def check_exposures(number: int) -> None:
    """Rejects fewer than two exposures of one image.

    Raises:
        UsageError: there are fewer than two.
    """
    if number < 2:
        raise UsageError(_EXPOSURES)


def make_folders(items: Sequence[Item]) -> None:
    """Makes the folders of all outputs, removes temporary files of killed runs, and checks that they are writable.

    If some folders are not writable, their images fail in their turn.

    Raises:
        PellucidError: no folder is writable.
    """
    names: dict[Path, list[str]] = {}
    for item in items:
        names.setdefault(item.target.parent, []).extend(name.name for name in item.names)
    lines = []
    for folder in sorted(names):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            images.probe(folder)
            images.clear(folder, names[folder])
        except (OSError, ValueError) as error:
            lines.append(f"{folder}: cannot be written to ({getattr(error, 'strerror', None) or error})")
    if lines and len(lines) == len(names):
        raise PellucidError(lines[0])


def _sampled(items: Sequence[Item], samples: int) -> list[Item]:
    """Makes the items of several samples of each image."""
    if samples == 1:
        return list(items)
    return [
        replace(item, target=target, spare=tuple(spare), sample=number)
        for item in items
        for number in range(1, samples + 1)
        for target, *spare in [[name.with_stem(f"{name.stem}-{number}") for name in item.names]]
    ]


def _check_samples(inputs: Sequence[Path], output: Path | None, samples: int) -> None:
    """Rejects invalid numbers, and places where the next run would take samples for inputs."""
    check_samples(samples)
    if samples > 1 and output is None:
        raise UsageError("several samples of an image cannot take its place: say -o FOLDER")
    if samples > 1 and output is not None and real(output) in {real(source) for source in inputs if _is_folder(source)}:
        raise UsageError(f"{output}: is a folder of inputs; several samples need another")


def _check_inside(items: Sequence[Item], output: Path) -> None:
    """Rejects outputs that links or `..` would take out of the folder."""
    root = real(output)
    for folder in sorted({item.target.parent for item in items}):
        if root not in (real(folder), *real(folder).parents):
            raise UsageError(f"{folder}: is a link out of the output folder, to {real(folder)}; name another output")


def _named(source: Path, output: Path, name: str) -> Item:
    """An image whose output keeps its name in a folder."""
    target, *spare = images.targets_of(output / (name or source.name))
    return Item(source, target, name, spare=tuple(spare))


def _replaceable(found: Sequence[tuple[Path, str]], problems: list[Left]) -> Iterator[tuple[Path, str]]:
    """Images that can be written under their own names; the others become problems."""
    for source, name in found:
        if images.targets_of(source)[0] == source:
            yield source, name
        else:
            kind = source.suffix or "a file without a suffix"
            problems.append(
                Left(source, f"{kind} cannot be written, so it is not replaced: say -o FOLDER", failed=True)
            )


def _apart(items: Sequence[Item], problems: list[Left], *, strict: bool = False) -> list[Item]:
    """Gives each image an output of its own; an image that finds no free name becomes a problem.

    Args:
        items: the images. Those that keep their names come first; of the others, the next name that is free is taken.
        problems: receives the problems.
        strict: whether upper and lower case differ, as for files that exist.
    """
    taken: dict[str, tuple[Path, Path]] = {}
    placed: dict[int, Path] = {}
    for index in sorted(range(len(items)), key=lambda index: _is_renamed(items[index])):
        item = items[index]
        names = item.names if _is_renamed(item) else [item.target]
        free = next((name for name in names if _key(name, strict) not in taken), None)
        if free is None:
            other, name = taken[_key(item.target, strict)]
            why = f"would become {item.target}, as {other} does"
            if item.target != name:
                why += " (upper and lower case, and two spellings of an accent, count as one)"
            problems.append(Left(item.source, f"{why}: restore it into another folder", failed=True))
            continue
        taken[_key(free, strict)], placed[index] = (item.source, free), free
    spare = [tuple(name for name in item.names if _key(name, strict) not in taken) for item in items]
    return [replace(items[index], target=placed[index], spare=spare[index]) for index in sorted(placed)]


def _is_renamed(item: Item) -> bool:
    """True if the output's suffix is not the input's."""
    return item.target.name != item.source.name


def _key(path: Path, strict: bool) -> str:
    """Name of a file by which two that may meet on any disk are equal."""
    name = str(real(path))
    # Files that are there already are as many as there are; new ones may meet on disks that know no case.
    return name if strict else unicodedata.normalize("NFC", name).casefold()


def _no_inputs(items: Sequence[Item], found: Sequence[tuple[Path, str]]) -> list[Item]:
    """Rejects an output that is an input, and removes spare names that are."""
    sources = {real(source) for source, _ in found}
    files = {file for source, _ in found if (file := _file(source)) is not None}
    apart = []
    for item in items:
        others = tuple(name for name in item.names if real(name) not in sources and _file(name) not in files)
        if item.target not in others:
            raise UsageError(
                f"{item.target}: is an input, which restore --in-place alone replaces; name another output"
            )
        apart.append(replace(item, spare=others[1:]))
    return apart


def _new(items: Sequence[Item], owned: Callable[[Path], bool] | None, *, resumable: bool = False) -> list[Item]:
    """Makes items that replace only the job's own outputs; rejects others that exist."""
    planned, there = {item.target for item in items}, set()
    foreign: list[Path] = []
    for name in (name for item in items for name in item.names):
        # Unlike Path.exists, this has no name that it fails at. A link to nothing may be replaced.
        if not os.path.lexists(name):
            continue
        if not os.path.exists(name) or (owned is not None and owned(name)):  # noqa: PTH110
            there.add(name)
        # A file under a spare name may be anybody's, unless a job was here.
        elif name in planned or (owned is None and resumable):
            foreign.append(name)
    if foreign:
        more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
        kind = "exists" if owned is None else "exists and is not as the job left it"
        ways = ["name another output", "say --overwrite to replace it"]
        if owned is None and resumable:
            ways.insert(0, "say --resume to continue the job there")
        raise UsageError(f"{foreign[0]}: {kind}{more}; {', or '.join(ways)}")
    return [replace(item, replaces=frozenset(there.intersection(item.names))) for item in items]


def _is_folder(path: Path) -> bool:
    # Unlike Path.is_dir, this has no name that it fails at.
    return os.path.isdir(path)  # noqa: PTH112


def state_of(path: Path) -> tuple[int, ...] | None:
    """Identifies a file's content, to notice changes; None if it does not exist."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _file(path: Path) -> tuple[int, int] | None:
    """Identifies a file under any name, also on case-insensitive disks; None if it does not exist."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
