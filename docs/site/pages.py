"""Hook of mkdocs: a page for each method, a page of the command line, and links to source files as plain names."""

from __future__ import annotations

import re
from typing import Any

from mkdocs.structure.files import File, Files

from pellucid import methods

# Methods whose page is written by hand; all others have a generated one.
WRITTEN = {
    "auto": "choosing",
    "bird": "unblur",
    "blinddps": "unblur",
    "bm3d": "external",
    "denoise": "choosing",
    "dgp": "dgp",
    "diip": "diip",
    "dip": "dip",
    "dreamclean": "dreamclean",
    "external": "external",
    "gdp": "gdp",
    "gibbsddrm": "unblur",
    "jpeg": "jpeg",
    "zero-dce": "external",
}
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./(?!\.\.)([^)#]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the generated pages."""
    pages = {"methods/index.md": _index(), "reference/cli.md": _command_line()}
    pages |= {f"methods/{name}.md": _method(name) for name in methods.names() if name not in WRITTEN}
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    placed = str(config["nav"])
    new = [one.src_uri for one in files.documentation_pages() if "/" not in one.src_uri and one.src_uri not in placed]
    config["nav"] = [_with_methods(section) for section in config["nav"]]
    # A page that the navigation does not place yet is a guide.
    config["nav"] = [
        {title: [*pages, *new]} if title == "Guides" else {title: pages}
        for section in config["nav"]
        for title, pages in section.items()
    ]
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Replaces links to files outside the documentation, which a site on disk cannot follow, by the files' paths."""
    if page.file.src_uri.count("/"):
        return markdown
    return _OUTSIDE.sub(lambda link: f"`{link[2].rstrip('/')}`", markdown)


def _with_methods(section: dict[str, Any]) -> dict[str, Any]:
    """A section of the navigation; that of the methods with the generated pages."""
    ((title, pages),) = section.items()
    if title != "Methods":
        return section
    generated = [{name: f"methods/{name}.md"} for name in methods.names() if name not in WRITTEN]
    return {title: pages + [page for page in generated if page not in pages]}


def _index() -> str:
    """The table of all methods."""
    lines = [
        "# Methods",
        "",
        "`auto` is the default: it diagnoses a picture and chooses treatments.",
        "All others are the field's methods, one class each.",
        "A *blind* method is not told the damage; the others need an operator or a task.",
        "[Choosing a method](../choosing-a-method.md) compares needs and costs, [Results](../results.md) has figures.",
        "",
        "| method | blind | what it does | presets |",
        "|---|---|---|---|",
    ]
    for name in methods.names():
        about = methods.describe(name)
        link = f"../{WRITTEN[name]}.md" if name in WRITTEN else f"{name}.md"
        blind = "yes" if about["blind"] else "no"
        presets = ", ".join(f"`{preset}`" for preset in about["presets"])
        lines.append(f"| [`{name}`]({link}) | {blind} | {about['summary']} | {presets} |")
    return "\n".join(lines) + "\n"


def _method(name: str) -> str:
    """The page of a method: how to call it, and its docstrings with the equations."""
    found = methods.find(name)
    about = methods.describe(name)
    call = f'pellucid.restore("photo.png", "{name}")' if about["blind"] else f'pellucid.methods.get("{name}")'
    table = ["| field | default |", "|---|---|"] + [
        f"| `{key}` | `{value!r}` |" for key, value in about["hyper_parameters"].items()
    ]
    return "\n".join(
        [
            f"# {found.__name__}",
            "",
            f"`{name}` on the command line, `{call}` in Python.",
            "",
            f"::: {found.__module__}",
            "    options:",
            "      members: []",
            "      show_root_heading: false",
            "      show_root_toc_entry: false",
            "",
            f"::: {found.__module__}.{found.__qualname__}",
            "    options:",
            "      members: [nfe]",
            "",
            "## Defaults",
            "",
            *table,
            "",
        ]
    )


def _command_line() -> str:
    """The help of all commands, as the terminal shows it."""
    import os

    from typer.testing import CliRunner

    from pellucid.cli import app

    os.environ |= {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    commands = [name for one in app.registered_commands if (name := one.name)]
    lines = ["# Command line", "", "The help of each command, as `pellucid COMMAND --help` prints it.", ""]
    for name in commands:
        said = CliRunner().invoke(app, [name, "--help"]).output
        lines += [
            f"## pellucid {name}",
            "",
            "```text",
            *(line.rstrip() for line in said.strip("\n").splitlines()),
            "```",
            "",
        ]
    return "\n".join(lines)
