"""Write the document of what was measured, its plots beside it."""

import argparse
import sys
from pathlib import Path
from typing import Final

import msgspec

from bench.document import plots
from bench.document.template import fill
from bench.report import read

_TEMPLATE: Final = Path(__file__).with_name("performance.md")


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    options = _parser().parse_args()
    try:
        report = read(options.results)
    except (OSError, msgspec.MsgspecError) as error:
        print(f"bench: cannot read {options.results}: {error}; measure first", file=sys.stderr)
        return 2
    pictures = options.document.with_suffix("")
    drawn = plots.draw(report, pictures)
    links = {name: f"{pictures.name}/{path.name}" for name, path in drawn.items()}
    options.document.write_text(fill(_TEMPLATE.read_text(), report, links))
    print(options.document)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.document", description=__doc__)
    parser.add_argument("results", type=Path, help="what `python -m bench --json` wrote")
    parser.add_argument("document", type=Path, help="the Markdown file to write, e.g. docs/x.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
