"""Errors for people: each is one line that says what, where and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class PellucidError(Exception):
    """Something about the input, a file or the machine; the message is one line, ready to print.

    Example:
        >>> try:
        ...     pellucid.restore("missing.png")
        ... except pellucid.PellucidError as error:
        ...     print(error)
        missing.png: there is no such file
    """


class UsageError(PellucidError, ValueError):
    """The call itself is wrong: an unknown name, a value out of range, options that exclude each other.

    Example:
        >>> issubclass(pellucid.UsageError, pellucid.PellucidError)
        True
    """


@contextmanager
def on_page(number: int, pages: int) -> Iterator[None]:
    """Names the page in the errors of work on it, if there are several.

    Args:
        number: of the page, from 1 up.
        pages: number of pages of the file.
    """
    try:
        yield
    except PellucidError as error:
        if pages == 1:
            raise
        kind = UsageError if isinstance(error, UsageError) else PellucidError
        raise kind(f"page {number}: {error}") from error


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Makes the error for a name that does not exist, with the nearest one that does.

    Args:
        kind: what the name was meant to be, as in "method".
        name: the unknown name.
        known: the names that exist.

    Returns:
        The error, to be raised by the caller.
    """
    choices = sorted(known)
    near = get_close_matches(name.lower(), choices, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    # Names of kinds of damage have commas themselves.
    comma = "; " if any("," in one for one in choices) else ", "
    return UsageError(f"unknown {kind} {name!r}: {hint}there is {comma.join(choices) or 'none'}")


# What torch's allocators say, beside errors of a type of their own: on the CPU of Linux, of Windows, on other devices.
_TOO_LARGE = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


def is_too_large(error: BaseException) -> bool:
    """True if an error means that memory ran out."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _TOO_LARGE)
    )
