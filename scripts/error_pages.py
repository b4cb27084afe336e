"""Writes docs/errors.md: every error code with one example, taken from the golden files of the tests.

    python scripts/error_pages.py

A test keeps the page equal to what this prints. Codes without a golden example are listed with the message
that the source raises.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = [ROOT / "tests" / "golden" / folder for folder in ("errors", "syntax")]
CODE = re.compile(r"error\[(A\d{4})\]")
CHAPTERS = {
    "A01": ("Syntax", "`AttnSyntaxError`: the text is not a `.attn` file."),
    "A02": ("Names", "`AttnNameError`: a name is unknown, repeated, or used where it has no meaning."),
    "A03": ("Types", "`AttnTypeError`: an expression has the wrong type or rank."),
    "A04": ("Bind", "`AttnBindError`: the numbers given to a pattern do not fit it."),
    "A05": ("Schedule", "`AttnScheduleError`: tiles or a request do not fit the bound pattern."),
    "A06": ("Call", "`AttnCallError`: tensors have a wrong shape, type or device."),
    "A07": (
        "Backends",
        "`AttnBackendError`: a backend, target or tool is missing or cannot do what was asked.",
    ),
    "A08": ("Files", "`AttnFileError`: a file, pattern name or output path cannot be used."),
    "A09": ("Not compiled yet", "`AttnUnsupportedError`: part of the language, but not compiled yet."),
    "A10": ("Python functions", "`AttnTraceError`: a function under `attndsl.jit` cannot be traced."),
}
HEAD = """# Errors

Every error that a user can cause has a stable code, a place, one cause and one fix. All are subclasses of
`attndsl.AttnError`, with `.code`, `.span` and `.help`; the command line prints them to standard error and
exits with 1.
"""


def examples() -> dict[str, str]:
    """The shortest golden example of each code."""
    found: dict[str, str] = {}
    for path in (path for folder in GOLDEN for path in sorted(folder.glob("*.txt"))):
        text = path.read_text(encoding="utf-8").rstrip("\n")
        match = CODE.match(text)
        if match and len(text) < len(found.get(match[1], text + " ")):
            found[match[1]] = text
    return found


def raised() -> dict[str, str]:
    """The first message that the source raises with each code, its values shown as `...`."""
    found: dict[str, str] = {}
    for folder in ("attndsl", "codegen", "grammar"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and len(node.args) > 1:
                    code, message = _literal(node.args[0]), _literal(node.args[1])
                    if re.fullmatch(r"A\d{4}", code) and message:
                        found.setdefault(code, message)
    return found


def _literal(node: ast.expr) -> str:
    """The text of a string literal, with `...` for every value in it; empty for anything else."""
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(parts):
            return "".join(_literal(part) if isinstance(part, ast.Constant) else "..." for part in parts)
    return ""


def page() -> str:
    """The whole of docs/errors.md."""
    by_code = {code: f"error[{code}]: {message}" for code, message in raised().items()} | examples()
    parts = [HEAD]
    for prefix, (title, meaning) in CHAPTERS.items():
        parts.append(f"## {title} ({prefix}xx)\n\n{meaning}\n")
        parts += [f"```text\n{by_code[code]}\n```\n" for code in sorted(by_code) if code.startswith(prefix)]
    return "\n".join(parts)


if __name__ == "__main__":
    (ROOT / "docs" / "errors.md").write_text(page(), encoding="utf-8")
