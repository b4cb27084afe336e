"""`python -m scripts.cookbook`: write the page and all pictures."""

from __future__ import annotations

from pathlib import Path

import attndsl
from scripts.cookbook.page import page
from scripts.cookbook.picture import picture
from scripts.cookbook.recipe import recipe

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "cookbook"


def main() -> None:
    """Write everything; pictures of patterns that are gone are removed."""
    recipes = [recipe(name) for name in attndsl.patterns()]
    images = FOLDER / "images"
    images.mkdir(parents=True, exist_ok=True)
    drawn = {images / f"{each.name}.png": each.name for each in recipes if each.undrawn is None}
    for old in set(images.glob("*.png")) - set(drawn):
        old.unlink()
    for path, name in drawn.items():
        path.write_bytes(picture(name))
    (FOLDER / "README.md").write_text(page(recipes), encoding="utf-8")


if __name__ == "__main__":
    main()
