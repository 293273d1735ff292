"""What methods cost beside their network, and what commands take to start: `python -m benchmarks all [--clock cpu]`.

Other benchmarks are commands of their own, `python -m benchmarks.NAME`; without arguments they are listed.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from . import overhead, startup


def main() -> None:
    if sys.argv[1:2] == ["all"]:
        overhead.main(sys.argv[2:])
        print()
        startup.main([])
        return
    print("python -m benchmarks all")
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        if "def main" in path.read_text():
            print(f"python -m benchmarks.{path.stem:16} {said.partition(chr(10))[0].partition(': `')[0]}")


if __name__ == "__main__":
    main()
