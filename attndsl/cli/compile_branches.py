"""`attndsl compile` of patterns of branches: a section per branch, or a file per branch with -o."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attndsl.cli.output import write_text
from attndsl.diagnostics import AttnError

if TYPE_CHECKING:
    from attndsl.pipeline import Bound


@dataclass(frozen=True)
class Section:
    """A stage of a branch, or the error that says why there is none."""

    branch: str
    text: str = ""
    error: AttnError | None = None


def write_branches(
    output: Path | None, bound: Bound, make: Callable[[Bound], str], comment: str
) -> list[str]:
    """Write what `make` gives for each branch; the lines to tell the user.

    output: `FILE.cpp` becomes `FILE.gather.cpp` for the branch `gather`; None is standard output. comment:
    how a line of the texts begins that says nothing to a machine. Raises AttnError where no branch has any.
    """
    sections = [_section(name, branch, make) for name, branch in bound.branches.items()]
    errors = [each.error for each in sections if each.error]
    if len(errors) == len(sections):
        raise errors[0]
    if output is None:
        write_text(
            None, "\n".join(f"{comment}branch {each.branch}\n{_shown(each, comment)}" for each in sections)
        )
        return []
    return [_written(output, each) for each in sections]


def _section(name: str, branch: Bound, make: Callable[[Bound], str]) -> Section:
    try:
        return Section(name, make(branch))
    except AttnError as error:
        return Section(name, error=error)


def _shown(section: Section, comment: str) -> str:
    return f"{comment}{section.error.message}\n" if section.error else section.text


def _written(output: Path, section: Section) -> str:
    if section.error:
        return f"branch {section.branch}: {section.error.message}"
    path = output.with_name(f"{output.stem}.{section.branch}{output.suffix}")
    write_text(path, section.text)
    return f"wrote {path}"
