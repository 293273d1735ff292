"""A method on a prior for pictures with all content of their files: pages, exposures, transparency, provenance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import torch

from .. import images
from ..diagnosis import Diagnosis, from_file
from ..errors import UsageError, on_page
from ..images import Picture
from ..maths.noise import derive_seed
from ..methods.method import State
from ..operators import Grayscale, Mask, Operator
from ..support.plural import number_of
from ..support.ranges import percent
from . import provenance
from .restored import Restored
from .runner import Runner

_TOLD = ("exact", "label", "prompt", "tile", "by", "yes")
"""Recipe fields in a file's note, beside the method, the operator, the noise, the prior and the seed."""


class Restorer(Runner):
    """Adds pages, exposures, transparency and metadata to `Runner`."""

    def picture(
        self,
        picture: Picture,
        seed: int | None = None,
        progress: Callable[[int], object] | None = None,
        watch: Callable[[State], object] | None = None,
        *,
        marked: bool = True,
        found: Diagnosis | None = None,
    ) -> tuple[Picture, Restored]:
        """Restores one picture page by page; its transparency and metadata stay.

        Args:
            picture: one page or several. Seeds of further pages follow from `seed`.
            seed: of the first page; None for the recipe's.
            progress: see `run`.
            watch: see `run`.
            marked: whether each page is going to say in a file how it was restored; see `provenance`.
            found: the diagnosis of its first page, where it was made before, with the same prior and tiles.

        Returns:
            The picture, and further results of its first page; evaluations, randomness and notes are those of all
            pages.
        """
        seed = self.recipe.seed if seed is None else seed
        seeds = [seed, *(derive_seed(seed, f"page {number}") for number in range(2, len(picture.more) + 2))]
        restored: list[Picture] = []
        results: list[Restored] = []
        for number, (page, own) in enumerate(zip(picture.pages, seeds, strict=True)):
            known = (found,) if found is not None and not number else self._known(page)
            with on_page(number + 1, len(seeds)):
                done, result = self._finished(page, self._page(page, own, progress, watch, known))
            results.append(result)
            restored.append(self._marked(done, result, own) if marked else done)
        nfe, drawn = sum(result.nfe for result in results), any(result.random for result in results)
        notes = _of_pages(["; ".join(result.notes) for result in results])
        return images.bound(restored), replace(results[0], nfe=nfe, random=drawn, notes=(notes,) if notes else ())

    def copies(
        self, picture: Picture, seeds: Sequence[int], progress: Callable[[int], object] | None = None
    ) -> tuple[list[Picture], list[Restored]]:
        """Restores one picture several times; see `samples` and `picture`, whose result each has.

        Args:
            picture: one page or several.
            seeds: seeds of the first page, one for each restoration.
            progress: see `run`.

        Returns:
            The pictures, unmarked, and further results of each one's first page.
        """
        made: list[list[Picture]] = [[] for _ in seeds]
        first: list[Restored] = []
        for number, page in enumerate(picture.pages, 1):
            own = [seed if number == 1 else derive_seed(seed, f"page {number}") for seed in seeds]
            operator = None if self._maker is None else self._maker(page)
            whole = _untouched(page, operator)
            results = (
                [whole] * len(own)
                if whole
                else self.samples(page.filled().tensor(), own, progress, operator, self._known(page))
            )
            finished = [self._finished(page, result) for result in results]
            for pages, (done, _) in zip(made, finished, strict=True):
                pages.append(done)
            first = first or [result for _, result in finished]
        return [images.bound(pages) for pages in made], first

    def exposures(
        self,
        pictures: Sequence[Picture],
        seed: int | None = None,
        progress: Callable[[int], object] | None = None,
        watch: Callable[[State], object] | None = None,
    ) -> tuple[Picture, Restored]:
        """Makes one picture of several exposures; see `picture`. Transparency and metadata are those of the first.

        Raises:
            UsageError: the method takes one image, or the pictures have different sizes.
        """
        seed = self.recipe.seed if seed is None else seed
        if not self.method.takes_exposures:
            raise UsageError(f"{type(self.method).__name__} takes one image, not {len(pictures)} exposures of one")
        if any(picture.more for picture in pictures):
            raise UsageError("exposures of one image are files of one page each")
        # Grey ones become colours, so that the prior's channels tell where one ends.
        tensors = [picture.filled().tensor().expand(-1, self.channels, -1, -1) for picture in pictures]
        if len({tensor.shape for tensor in tensors}) > 1:
            sizes = ", ".join(f"{tensor.shape[3]}x{tensor.shape[2]}" for tensor in tensors)
            raise UsageError(f"exposures of one image have the same size, not {sizes}")
        result = self.run(torch.cat(tensors, 1), seed, progress, watch=watch)
        restored, result = self._finished(pictures[0], result)
        return self._marked(restored, result, seed), result

    def _page(
        self,
        page: Picture,
        seed: int,
        progress: Callable[[int], object] | None,
        watch: Callable[[State], object] | None,
        known: tuple[Diagnosis, ...],
    ) -> Restored:
        """Restores one page, of whose damage something may be known."""
        operator = None if self._maker is None else self._maker(page)
        whole = _untouched(page, operator)
        return whole or _warned(
            self.run(page.filled().tensor(), seed, progress, operator, watch, known), operator or self._operator
        )

    def _known(self, page: Picture) -> tuple[Diagnosis, ...]:
        return (from_file(page),) if self.method.diagnoses and page.jpeg is not None else ()

    def _finished(self, page: Picture, result: Restored) -> tuple[Picture, Restored]:
        """Makes the page from its result, with the notes of reading and of restoring."""
        said = "; ".join(filter(None, (page.note, self._replaced(page), *result.notes)))
        return page.with_tensor(result.colours), replace(result, notes=(said,) if said else ())

    def _replaced(self, page: Picture) -> str | None:
        """Returns a note if colours that the page has are going to be others."""
        if not isinstance(self._operator, Grayscale) or page.colour.shape[2] != self._operator.weights.numel():
            return None
        colours = page.tensor()
        chroma = (colours.amax(1) - colours.amin(1)).mean()
        return "it has colours of its own, which were replaced" if chroma > _COLOURFUL else None

    @property
    def _said(self) -> dict[str, object]:
        """Further options of the recipe that affect the picture, by name; without open ones."""
        about = {one.name: (getattr(self.recipe, one.name), one.default) for one in fields(self.recipe)}
        said = {name: value for name, (value, default) in about.items() if name in _TOLD and value != default}
        return said | self.way

    def _marked(self, page: Picture, result: Restored, seed: int) -> Picture:
        maker = self._operator or self._maker
        facts = [] if maker is None else [getattr(maker, "__qualname__", type(maker).__name__)]
        facts += [f"noise {level:.4g}" for level in result.noise]
        facts += [f"{name} {given!r}" for name, given in self._said.items()]
        prior = self.fingerprint[:16] if self.method.needs_prior else ""
        return page.marked(provenance.line(self.method, facts, prior, seed, result.notes))


_COLOURFUL = 0.04
"""Mean distance of a pixel's channels above which a picture has colours: more than the noise of a scan in grey."""

_MOST = 0.5
"""Share of missing pixels above which a mask may be one of the known ones, turned into its negative."""


def _warned(result: Restored, operator: Operator | None) -> Restored:
    """Adds a note on the mask to a result if most of the picture is missing."""
    if not isinstance(operator, Mask) or (missing := 1 - operator.known.mean().item()) <= _MOST:
        return result
    said = f"the mask marks {percent(missing)} of the picture as missing: white is filled, black stays"
    return replace(result, notes=tuple("; ".join(filter(None, (said, note))) for note in result.notes or ("",)))


_SHOWN = 4
"""Number of different notes on pages in a line; each page's own mark has its note in any case."""


def _of_pages(notes: Sequence[str]) -> str:
    """Joins the notes on all pages, of which some may be empty; a note names its pages unless all have it."""
    if len(set(notes)) == 1:
        return notes[0]
    pages: dict[str, list[int]] = {}
    for number, note in enumerate(notes, 1):
        pages.setdefault(note, []).append(number)
    pages.pop("", None)
    lines = [
        f"{'pages' if len(numbers) > 1 else 'page'} {', '.join(map(str, numbers))}: {note}"
        for note, numbers in list(pages.items())[:_SHOWN]
    ]
    more = sum(map(len, list(pages.values())[_SHOWN:]))
    return "; ".join([*lines, f"notes on {number_of(more, 'more page')}"] if more else lines)


def _untouched(page: Picture, operator: Operator | None) -> Restored | None:
    """Returns the page unchanged if its mask is empty; else None."""
    if not isinstance(operator, Mask) or not operator.known.all():
        return None
    return Restored(page.tensor(), 0, notes=("nothing is marked, left unchanged",), random=False)
