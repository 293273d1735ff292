"""Kinds of damage in everyday pictures: the rows of `pellucid bench photographs`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..degradations.compose import steps
from ..errors import unknown_name


@dataclass(frozen=True)
class Kind:
    """A row of the table: the damage of clean pictures, and the knowledge about it.

    Attributes:
        damage: argument of `degradations.get`; empty for none.
        quality: quality of the damaged picture's JPEG file; None for PNG.
        subsampling: chroma subsampling of that file.
        grey: whether the clean photograph is made grey.
        drawn: "text", "lines" or "screen" instead of a photograph.
        scanned: factor by which the clean photograph is enlarged first: scans have more pixels than prints have detail.
        reduced: factor by which the picture is reduced, for rows that enlarge.
        task: the task that a person who knows the damage would name.
        peers: kinds of peers that take part: "noise", "blur", "jpeg", "enlarge".
        sigma: noise level for peers that need it, in [0, 1] units.
        exposure: whether images are compared at the factor of light that fits the truth best.
    """

    damage: str = ""
    quality: int | None = None
    subsampling: str = "4:2:0"
    grey: bool = False
    drawn: str | None = None
    scanned: int = 1
    reduced: int = 1
    task: str | None = None
    peers: str | None = None
    sigma: float | None = None
    exposure: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """Words of the catalogue that stand for it: its task, its damages, or its file's compression."""
        damages = [name for name, _ in steps(self.damage)] if self.damage else []
        return tuple(filter(None, (self.task, *damages, "jpeg" if self.quality is not None else None)))


def _noise(level: int, *, grey: bool = False, quality: int | None = None) -> Kind:
    name = "shared-noise" if grey else "noise"
    damage = f"{name}:{level / 255:.6f}"
    return Kind(damage, quality, grey=grey, task="denoise", peers="noise", sigma=level / 255)


def _scan(size: float, *, grey: bool = False, quality: int | None = None) -> Kind:
    damage = f"grain:sigma={15 / 255:.6f};size={size}"
    return Kind(damage, quality, grey=grey, scanned=2, task="denoise", peers="noise", sigma=15 / 255)


def _blurs(name: str, damage: str) -> dict[str, Kind]:
    """A blur alone, with noise, and with JPEG."""
    return {
        name: Kind(damage, task="unblur", peers="blur"),
        f"{name}, noise 5": Kind(f"{damage}|noise:{5 / 255:.6f}", task="unblur", peers="blur"),
        f"{name}, JPEG 90": Kind(damage, 90, task="unblur", peers="blur"),
    }


KINDS: dict[str, Kind] = {
    "grey 10": _noise(10, grey=True),
    "grey 25": _noise(25, grey=True),
    "same in all channels 25": Kind("shared-noise:0.098039", task="denoise", peers="noise", sigma=25 / 255),
    "colour 6, JPEG 75": _noise(6, quality=75),
    "colour 10, JPEG 92": _noise(10, quality=92),
    "colour 25, JPEG 92": _noise(25, quality=92),
    "grain 15, 0.7 px": Kind("grain:sigma=0.058824;size=0.7", task="denoise", peers="noise", sigma=15 / 255),
    "grain 15, 1.2 px": Kind("grain:sigma=0.058824;size=1.2", task="denoise", peers="noise", sigma=15 / 255),
    "scan, grain 15, 2 px": _scan(2),
    "scan, grain 15, 3 px, JPEG 90": _scan(3, quality=90),
    "grey scan, grain 15, 2 px, JPEG 80": _scan(2, grey=True, quality=80),
    "grey print, 4 px": Kind("printed", grey=True, task="denoise", peers="noise", sigma=25 / 255),
    "print in colours, 5 px, JPEG 85": Kind("printed:5", 85, task="denoise", peers="noise", sigma=25 / 255),
    "chroma noise": Kind("chroma-noise", task="denoise", peers="noise"),
    "Poisson-Gaussian, weak": Kind("poisson-gaussian", task="denoise", peers="noise"),
    "Poisson-Gaussian, strong": Kind("poisson-gaussian:peak=30;read=0.04", task="denoise", peers="noise"),
    "phone, JPEG 90": Kind("phone", 90, task="denoise", peers="noise"),
    "white 10": _noise(10),
    "white 25": _noise(25),
    "white 50": _noise(50),
    "JPEG 5": Kind("", 5, task="jpeg", peers="jpeg"),
    "JPEG 10": Kind("", 10, task="jpeg", peers="jpeg"),
    "JPEG 30": Kind("", 30, task="jpeg", peers="jpeg"),
    "JPEG 60": Kind("", 60, task="jpeg", peers="jpeg"),
    "JPEG 80": Kind("", 80, task="jpeg", peers="jpeg"),
    "JPEG 10, 4:4:4": Kind("", 10, "4:4:4", task="jpeg", peers="jpeg"),
    "JPEG 30, 4:4:4": Kind("", 30, "4:4:4", task="jpeg", peers="jpeg"),
    "JPEG 80, then 30": Kind("jpeg:80", 30, task="jpeg", peers="jpeg"),
    "three JPEGs, shifted": Kind("multiple-jpeg", peers="jpeg"),
    "JPEG 10, saved as PNG": Kind("jpeg:10", peers="jpeg"),
    **_blurs("blur 1.2", "blur:1.2"),
    **_blurs("blur 2.4", "blur:2.4"),
    **_blurs("disk blur 2.6", "disk-blur:2.6"),
    **_blurs("disk blur 4.1", "disk-blur:4.1"),
    **_blurs("motion blur 8.3 at 37", "motion-blur:length=8.3;degrees=37"),
    "x2": Kind(reduced=2, task="enlarge", peers="enlarge"),
    "x4": Kind(reduced=4, task="enlarge", peers="enlarge"),
    "x2, JPEG 80": Kind("", 80, reduced=2, task="enlarge", peers="enlarge"),
    "x4, JPEG 80": Kind("", 80, reduced=4, task="enlarge", peers="enlarge"),
    "dark, linear": Kind("low-light:exposure=0.2;gamma=1;noise=0.02", task="lowlight", exposure=True),
    "dark, gamma": Kind("low-light:exposure=0.25;gamma=1.5;noise=0.02", task="lowlight", exposure=True),
    "faded, a cast": Kind("faded", task="unfade", exposure=True),
    "clean": Kind(),
    "clean, grey": Kind(grey=True),
    "clean scan, JPEG 90": Kind("", 90, scanned=2),
    "text": Kind(drawn="text"),
    "line art": Kind(drawn="lines"),
    "screenshot": Kind(drawn="screen"),
}
"""All rows by name."""


def chosen(names: Sequence[str]) -> dict[str, Kind]:
    """Rows by name, or by the task that undoes them or the damage that they have; all for none.

    Raises:
        UsageError: unknown row.
    """
    rows: dict[str, Kind] = {}
    for name in names or KINDS:
        meant = [name] if name in KINDS else [row for row, one in KINDS.items() if name in one.words]
        if not meant:
            raise unknown_name("row", name, KINDS)
        rows |= {row: KINDS[row] for row in meant}
    return rows
