"""`pellucid diagnose`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import PellucidError
from .options import Backend, Device, Json, Offline, Precision, Prior, named
from .output import FAILED, as_json, complain, plain

if TYPE_CHECKING:
    from ..diagnosis import Diagnosis


def diagnose(
    files: Annotated[list[Path], typer.Argument(parser=named, metavar="FILE...", help="Pictures.")],
    prior: Prior = "natural",
    device: Device = None,
    offline: Offline = False,
    backend: Backend = "auto",
    precision: Precision = "auto",
    json: Json = False,
) -> int:
    """Names the damage of pictures, and the command that repairs it; changes nothing."""
    from .. import api
    from ..priors import load_prior
    from ..support.devices import find_device

    loaded = load_prior(prior, find_device(device), offline=offline, backend=backend, precision=precision)
    failed = False
    for path in files:
        try:
            found = api.diagnose(path, loaded)
        except PellucidError as error:
            complain(str(error) if str(path) in str(error) else f"{path}: {error}")
            failed = True
            continue
        if json:
            as_json(_record(path, found))
        else:
            typer.echo("\n".join(map(plain, _lines(path, found))))
    return FAILED if failed else 0


def _record(path: Path, found: Diagnosis) -> dict[str, Any]:
    return {
        "file": path,
        "findings": [
            {
                "kind": type(finding).__name__.lower(),
                "text": finding.text,
                "confidence": finding.confidence,
                "remedy": finding.remedy,
                "evidence": finding.evidence,
            }
            for finding in found.findings
        ],
    }


def _lines(path: Path, found: Diagnosis) -> list[str]:
    """Lists the kind of picture, then each kind of damage with the command that repairs it."""
    from ..restoration.spelling import word

    kind = f"{path}: {found.content.text}" if found.content else f"{path}:"
    damage = [finding for finding in found.findings if finding is not found.content]
    if not damage:
        return [f"{kind}; nothing found to repair"]
    lines, name = [kind], word(str(path))
    for finding in damage:
        mend = f"; to repair it: pellucid restore {finding.remedy} {name} -o FOLDER" if finding.remedy else ""
        lines.append(f"  {finding.text} (confidence {finding.confidence:.2f}){mend}")
    return lines
