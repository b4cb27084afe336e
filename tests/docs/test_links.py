"""Links between the pages lead to files and headings that exist, and docs/README.md lists all pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("**/*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """What links may name after `#`: each heading in lower case, blanks as hyphens, other signs left out."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    if not target.exists() or ROOT not in target.resolve().parents:
        return False
    return not anchor or (target.suffix == ".md" and anchor in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(prose(page)) if "://" not in link]
    assert [link for link in links if not leads_somewhere(page, link)] == []


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("settings.md", True),
        ("settings.md#settings", True),
        ("#the-language", True),
        ("#clauses-that-nobody-wrote", False),
        ("settings.md#prices", False),
        ("missing.md", False),
        ("../../..", False),
    ],
)
def test_a_dead_link_is_found(link: str, leads: bool) -> None:
    assert leads_somewhere(DOCS / "language.md", link) is leads


def test_the_index_lists_every_page() -> None:
    index = DOCS / "README.md"
    listed = {(DOCS / link).resolve() for link in LINK.findall(prose(index))}
    pages = {page for page in DOCS.glob("*.md") if page != index} | set(DOCS.glob("*/README.md"))
    assert {page.name for page in pages - listed} == set()
