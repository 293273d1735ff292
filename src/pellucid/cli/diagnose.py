"""`pellucid diagnose`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import Backend, Device, Json, Offline, Precision, Prior, named
from .output import FAILED, as_json, complain, counts, left_out, plain, tell

if TYPE_CHECKING:
    from ..diagnosis import Diagnosis, Finding
    from ..jobs import Left
    from ..priors import Prior as Network


@dataclass(frozen=True)
class PageDiagnosis:
    """Diagnosis of one page of a file.

    Attributes:
        file: the file.
        number: number of the page, from 1 up; None for a file of one page.
        found: the diagnosis; None if it failed.
        error: reason of the failure in one line.
    """

    file: Path
    number: int | None
    found: Diagnosis | None
    error: str | None = None

    @property
    def name(self) -> str:
        """The file, with the page if there are several."""
        return f"{self.file}" if self.number is None else f"{self.file}, page {self.number}"


def diagnose(
    inputs: Annotated[list[Path], typer.Argument(parser=named, metavar="IN...", help="Images, or folders of images.")],
    prior: Prior = "natural",
    device: Device = None,
    offline: Offline = False,
    backend: Backend = "auto",
    precision: Precision = "auto",
    json: Json = False,
) -> int:
    """Names the damage of images, and the command that repairs it; changes nothing.

    All pages of a file are diagnosed. An image that fails is named, and the others are done.
    """
    from .. import jobs
    from ..priors import fit, load_prior
    from ..support.devices import find_device

    left: list[Left] = []
    files = [file for file, _ in jobs.search(inputs, left=left)]
    loaded = fit(load_prior(prior, find_device(device), offline=offline, backend=backend, precision=precision))
    unread = left_out(left, json)
    failed: set[Path] = set()
    for page in (page for file in files for page in _pages(file, loaded)):
        if page.error is not None:
            complain(page.error)
            failed.add(page.file)
        if json:
            as_json(_record(page))
        elif page.found is not None:
            typer.echo("\n".join(map(plain, _lines(page, page.found))))
    if len(files) > 1:
        tell(f"{len(files) - len(failed)} of {len(files)} images diagnosed{counts(len(failed), left)}")
    return FAILED if failed or unread else 0


def _pages(file: Path, prior: Network) -> Iterator[PageDiagnosis]:
    """Diagnoses each page of a file; a file that cannot be read has one page, with an error."""
    from .. import images, jobs
    from ..diagnosis import of_picture

    with jobs.caught(str(file)) as errors:
        pictures = images.read(file).pages
    if errors:
        yield PageDiagnosis(file, None, None, errors[0])
        return
    for number, picture in enumerate(pictures, 1):
        page = PageDiagnosis(file, number if len(pictures) > 1 else None, None)
        with jobs.caught(page.name) as errors:
            page = replace(page, found=of_picture(prior, picture))
        yield replace(page, error=errors[0]) if errors else page


def _record(page: PageDiagnosis) -> dict[str, Any]:
    findings = [] if page.found is None else page.found.findings
    return {
        "input": page.file,
        "page": page.number,
        "findings": [
            {
                "kind": type(finding).__name__.lower(),
                "text": finding.text,
                "confidence": finding.confidence,
                "remedy": finding.remedy,
                "evidence": finding.evidence,
            }
            for finding in findings
        ],
        "error": page.error,
    }


def _lines(page: PageDiagnosis, found: Diagnosis) -> list[str]:
    """Lists the kind of picture, then each kind of damage with the command that repairs it."""
    kind = f"{page.name}: {found.content.text}" if found.content else f"{page.name}:"
    damage = [finding for finding in found.findings if finding is not found.content]
    if not damage:
        return [f"{kind}; nothing found to repair"]
    return [kind, *(f"  {one.text} (confidence {one.confidence:.2f}){_mended(page, one)}" for one in damage)]


def _mended(page: PageDiagnosis, finding: Finding) -> str:
    """Command that repairs a finding; "" without one."""
    from ..diagnosis.scratches import CHECKED, UNSEEN
    from ..restoration.spelling import word

    if not finding.remedy:
        return ""
    several = page.number is not None
    pages, remedy = (" on all pages", finding.remedy.replace(CHECKED, UNSEEN)) if several else ("", finding.remedy)
    return f"; to repair it{pages}: pellucid restore {remedy} {word(str(page.file))} -o FOLDER"
