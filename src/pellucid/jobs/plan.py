"""Which file becomes which, decided and checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import images
from ..errors import PellucidError, UsageError


@dataclass(frozen=True)
class Item:
    """One image of a job.

    Attributes:
        source: the damaged file.
        target: the file to write.
        name: the source's path relative to the input folder it was found in; "" for a file named by itself. It goes
            into the image's seed, so that a folder gives the same bytes wherever it lies.
        others: further exposures of the same image.
    """

    source: Path
    target: Path
    name: str = ""
    others: tuple[Path, ...] = ()


def plan(inputs: Sequence[Path], output: Path | None, *, in_place: bool = False, overwrite: bool = False) -> list[Item]:
    """Pairs each input image with its output file.

    A folder stands for all images below it, and its structure is kept. The output is a file for a single input file
    if it ends like one, else a folder; outputs keep the input's name, in PNG where its format cannot be written.

    Args:
        inputs: files and folders. A file that does not exist is kept: it fails when its turn comes.
        output: file or folder, or None with `in_place`.
        in_place: write over the inputs.
        overwrite: write over other files that exist.

    Raises:
        UsageError: neither or both of output and in_place; an output that is an input; two images for one output; an
            output that exists.
        PellucidError: a folder without images, or an output file of a kind that cannot be written.
    """
    if in_place == (output is not None):
        raise UsageError("say where to write: -o FILE, -o FOLDER, or --in-place to replace the inputs")
    found = [pair for source in inputs for pair in _find(source, output)]
    if output is None:
        items = [Item(source, source, name) for source, name in found]
    elif len(inputs) == 1 and not inputs[0].is_dir() and output.suffix and not output.is_dir():
        images.check_suffix(output)
        items = [Item(source, output, name) for source, name in found]
    else:
        if output.exists() and not output.is_dir():
            raise UsageError(f"{output}: is a file; several images need a folder")
        items = [Item(source, _writable(output / (name or source.name)), name) for source, name in found]
    _check(items, in_place=in_place, overwrite=overwrite)
    return items


def plan_exposures(inputs: Sequence[Path], output: Path | None, *, overwrite: bool = False) -> list[Item]:
    """The one item of several exposures of one image.

    Args:
        inputs: files.
        output: file.
        overwrite: write over it, if it exists.

    Raises:
        UsageError: fewer than two inputs, a folder among them, no output file, or one that exists or is an input.
        PellucidError: an output file of a kind that cannot be written.
    """
    folders = [source for source in inputs if source.is_dir()]
    if len(inputs) < 2 or folders:
        raise UsageError(
            "name the files of two or more exposures of one image" + "".join(f", not {f}" for f in folders)
        )
    if output is None or not output.suffix or output.is_dir():
        raise UsageError("several exposures become one image: say -o FILE")
    images.check_suffix(output)
    items = [Item(inputs[0], output, others=tuple(inputs[1:]))]
    _check(items, in_place=False, overwrite=overwrite)
    return items


def make_folders(items: Sequence[Item]) -> None:
    """Makes the folders of all outputs and checks that each can be written to.

    Raises:
        PellucidError: one cannot.
    """
    for folder in sorted({item.target.parent for item in items}):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            images.probe(folder)
        except OSError as error:
            raise PellucidError(f"{folder}: cannot be written to ({error.strerror or error})") from None


def _find(source: Path, output: Path | None) -> list[tuple[Path, str]]:
    """The images of an input, each with its name relative to it; not those of an output folder that lies inside."""
    if not source.is_dir():
        return [(source, "")]
    own = None if output is None or source.resolve() not in output.resolve().parents else output.resolve()
    paths = sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in images.SUFFIXES
        and path.is_file()
        and not path.name.startswith(".")
        and (own is None or own not in path.resolve().parents)
    )
    if not paths:
        raise PellucidError(f"{source}: holds no images ({', '.join(images.SUFFIXES)})")
    return [(path, path.relative_to(source).as_posix()) for path in paths]


def _writable(target: Path) -> Path:
    return target if target.suffix.lower() in images.SUFFIXES else target.with_name(target.name + ".png")


def _check(items: Sequence[Item], *, in_place: bool, overwrite: bool) -> None:
    sources = {source.resolve() for item in items for source in (item.source, *item.others)}
    taken: dict[Path, Path] = {}
    existing = []
    for item in items:
        target = item.target.resolve()
        if target in taken:
            raise UsageError(f"{taken[target]} and {item.source} would both become {item.target}: do them apart")
        taken[target] = item.source
        if in_place:
            images.check_suffix(item.target)
        elif target in sources:
            raise UsageError(
                f"{item.target}: is an input, which restore --in-place alone replaces; name another output"
            )
        elif target.exists():
            existing.append(item.target)
    if existing and not overwrite:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise UsageError(f"{existing[0]}: exists{more}; name another output, or say --overwrite to replace it")
