"""Extension of griffe: equations of docstrings, written as in reStructuredText, become MathML."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe
from latex2mathml.converter import convert

_BLOCK = re.compile(r"^( *)\.\. math::[ ]*\n((?:\1[ ]+.*\n|[ ]*\n)+)", re.MULTILINE)
_INLINE = re.compile(r":math:`([^`]+)`")


class Equations(griffe.Extension):
    """Rewrites each docstring once it is collected."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Replaces the equations of an object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = with_mathml(obj.docstring.value)


def with_mathml(text: str) -> str:
    """A docstring with its equations as MathML, which browsers draw without a script."""

    def block(found: re.Match[str]) -> str:
        latex = textwrap.dedent(found[2]).strip()
        if "&" in latex or "\\\\" in latex:
            latex = rf"\begin{{align}}{latex}\end{{align}}"
        return f"{found[1]}{_flat(convert(latex, display='block'))}\n\n"

    text = _BLOCK.sub(block, text if text.endswith("\n") else text + "\n")
    return _INLINE.sub(lambda found: _flat(convert(found[1])), text).rstrip("\n")


def _flat(mathml: str) -> str:
    return " ".join(mathml.split())
