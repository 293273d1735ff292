"""Plan of a job: the output of each file, decided and checked before any work."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import images
from ..errors import PellucidError, UsageError
from ..noise import derive_seed
from .search import Left, expand, find, real
from .shard import Shard


@dataclass(frozen=True)
class Item:
    """One image of a job, or one of several samples of it.

    Attributes:
        source: the damaged file.
        target: the file to write.
        name: the source's path relative to the input folder it was found in; "" for a file named by itself. It goes
            into the image's seed, so that a folder gives the same bytes wherever it lies.
        others: further exposures of the same image.
        sample: which of several restorations of the image it is, from 1 up; None where there is but one.
        replaces: whether the output may take the place of another file. A file that appears there while the image is in
            work is somebody else's.
        was: what an input that is going to be replaced was when the job began: another job may have replaced it since.
    """

    source: Path
    target: Path
    name: str = ""
    others: tuple[Path, ...] = ()
    sample: int | None = None
    replaces: bool = field(default=False, compare=False)
    was: tuple[int, ...] | None = field(default=None, compare=False)

    @property
    def sources(self) -> tuple[Path, ...]:
        """All files that are read."""
        return (self.source, *self.others)

    @property
    def label(self) -> str:
        """Base name of side files, unique within the job."""
        name = self.name or self.source.name
        return name if self.sample is None else f"{name}-{self.sample}"

    def seed(self, run: int) -> int:
        """The seed of its noise in a run with this seed; the first sample's is that of an image without samples."""
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

    A folder stands for all images below it, and its structure is kept. The output is a file for a single input file
    if it ends like one, else a folder; outputs keep the input's name, with `.png` or `.tif` behind it where its
    format cannot be written. Of several samples the first is NAME-1, whatever their number is.

    Args:
        inputs: files, folders and patterns. A file that does not exist is kept: it fails when its turn comes.
        output: file or folder, or None with `in_place`.
        in_place: write over the inputs.
        overwrite: write over other files that exist.
        shard: which of the outputs are this process's; None for all.
        samples: how many restorations of each image are made.
        owned: whether an output that exists may be replaced all the same, as an earlier run's own.
        left: takes in what is in the inputs' folders and is not taken for an image, and what cannot be read.

    Raises:
        UsageError: neither or both of output and in_place; an output that is an input, or outside the output folder;
            two images for one output, also where they differ in upper and lower case alone; an output that exists;
            several samples in place, or in a folder of inputs.
        PellucidError: a folder without images, a pattern without files, or an output file of a kind that cannot be
            written.
    """
    if in_place == (output is not None):
        raise UsageError("say where to write: -o FILE, -o FOLDER, or --in-place to replace the inputs")
    inputs = expand(inputs, left)
    _check_samples(inputs, output, samples)
    found = [pair for source in inputs for pair in find(source, output, left)]
    if output is None:
        items = [Item(source, source, name) for source, name in found]
    elif output_folder(inputs, output) != output:
        images.check_suffix(output)
        items = _sampled([Item(source, output, name) for source, name in found], samples)
    else:
        if os.path.lexists(output) and not _is_folder(output):
            raise UsageError(f"{output}: is a file; several images need a folder")
        items = [Item(source, images.target_of(output / (name or source.name)), name) for source, name in found]
        items = _sampled(items, samples)
        _check_inside(items, output)
    _check_apart(items, in_place=in_place)
    items = items if shard is None else shard.of(sorted(items, key=lambda item: item.target.as_posix()))
    if in_place:
        return [replace(item, replaces=True, was=state_of(item.source)) for item in items]
    if overwrite:
        return [replace(item, replaces=True) for item in items]
    return _new(items, owned)


def output_folder(inputs: Sequence[Path], output: Path) -> Path:
    """The folder that a job writes into: `output`, or the one it lies in where it is the file of a single input."""
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
    """The one item of several exposures of one image, or one for each sample.

    Args:
        inputs: files and patterns.
        output: file.
        overwrite: write over it, if it exists.
        samples: see `plan`.
        owned: see `plan`.

    Raises:
        UsageError: fewer than two inputs, a folder among them, no output file, or one that exists or is an input.
        PellucidError: an output file of a kind that cannot be written.
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
    _check_apart(items, in_place=False)
    return [replace(item, replaces=True) for item in items] if overwrite else _new(items, owned)


_EXPOSURES = "name the files of two or more exposures of one image"


def check_exposures(number: int) -> None:
    """Refuses fewer exposures of one image than two.

    Raises:
        UsageError: there are fewer.
    """
    if number < 2:
        raise UsageError(_EXPOSURES)


def make_folders(items: Sequence[Item]) -> None:
    """Makes the folders of all outputs, clears them of what killed runs left, and checks that they can be written to.

    A folder that cannot be among several that can is its images' trouble: each says so when its turn comes.

    Raises:
        PellucidError: none can.
    """
    names: dict[Path, list[str]] = {}
    for item in items:
        names.setdefault(item.target.parent, []).append(item.target.name)
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
    """The items of several samples of each of these."""
    if samples == 1:
        return list(items)
    return [
        replace(item, target=item.target.with_stem(f"{item.target.stem}-{number}"), sample=number)
        for item in items
        for number in range(1, samples + 1)
    ]


def _check_samples(inputs: Sequence[Path], output: Path | None, samples: int) -> None:
    """Refuses numbers that are none, and places where samples would be taken for inputs by the next run."""
    if samples < 1:
        raise UsageError(f"samples are 1 or more of each image, not {samples}")
    if samples > 1 and output is None:
        raise UsageError("several samples of an image cannot take its place: say -o FOLDER")
    if samples > 1 and output is not None and real(output) in {real(source) for source in inputs if _is_folder(source)}:
        raise UsageError(f"{output}: is a folder of inputs; several samples need another")


def _check_inside(items: Sequence[Item], output: Path) -> None:
    """Refuses outputs that links, or `..` in a name, take elsewhere."""
    root = real(output)
    for folder in sorted({item.target.parent for item in items}):
        if root not in (real(folder), *real(folder).parents):
            raise UsageError(f"{folder}: is a link out of the output folder, to {real(folder)}; name another output")


def _check_apart(items: Sequence[Item], *, in_place: bool) -> None:
    """Refuses two images for one output, and an output that is an input."""
    sources = {real(source) for item in items for source in item.sources}
    files = {file for item in items for source in item.sources if (file := _file(source)) is not None}
    taken: dict[str, Item] = {}
    for item in items:
        target = real(item.target)
        # Files that are there already are as many as there are; new ones may meet on disks that know no case.
        key = str(target) if in_place else unicodedata.normalize("NFC", str(target)).casefold()
        if key in taken:
            case = "" if taken[key].target == item.target else " where upper and lower case are one"
            raise UsageError(
                f"{taken[key].source} and {item.source} would both become {item.target}{case}: do them apart"
            )
        taken[key] = item
        if in_place:
            images.check_suffix(item.target)
        elif target in sources or _file(item.target) in files:
            raise UsageError(
                f"{item.target}: is an input, which restore --in-place alone replaces; name another output"
            )


def _new(items: Sequence[Item], owned: Callable[[Path], bool] | None) -> list[Item]:
    """The items, which replace nothing but what is the job's own; refuses those that would."""
    # Unlike Path.exists, this has no name that it fails at. A link to nothing may be replaced.
    there = {item.target for item in items if os.path.lexists(item.target)}
    existing = [item.target for item in items if os.path.exists(item.target)]  # noqa: PTH110
    existing = [target for target in existing if owned is None or not owned(target)]
    if existing:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        kind = "exists" if owned is None else "exists and is not as the job left it"
        raise UsageError(f"{existing[0]}: {kind}{more}; name another output, or say --overwrite to replace it")
    return [replace(item, replaces=item.target in there) for item in items]


def _is_folder(path: Path) -> bool:
    # Unlike Path.is_dir, this has no name that it fails at.
    return os.path.isdir(path)  # noqa: PTH112


def state_of(path: Path) -> tuple[int, ...] | None:
    """Identifies a file's content, to notice that it was replaced or changed; None if it is not there."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _file(path: Path) -> tuple[int, int] | None:
    """Identifies a file under any name, on case-insensitive disks, too; None if it is not there."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
