"""`attndsl list`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attndsl


def test_every_pattern_is_listed(run: Callable[..., Any]) -> None:
    listed = [line.split()[0] for line in run("list").out.splitlines() if line and line[0] != " "]
    assert set(attndsl.patterns()) <= set(listed)


def test_json_says_how_to_bind(run: Callable[..., Any]) -> None:
    found = {each["name"]: each for each in json.loads(run("list", "--json").out)}
    assert sorted(found) == attndsl.patterns()
    assert found["radial"]["space"] == ["video(frame, token)", "text(n)"]
    assert found["document"]["inputs"] == [{"name": "doc", "type": "int[tokens]"}]
    assert found["gna"]["parameters"][0] == {"name": "window", "type": "int[axes]", "required": True}
    assert found["gna"]["examples"]["hunyuan-video"].startswith("shape=30,48,80")


def test_linear_weights_are_pointed_out(run: Callable[..., Any]) -> None:
    found = {each["name"]: each["linear_weights"] for each in json.loads(run("list", "--json").out)}
    assert found["lightning"] is True
    assert found["alibi"] is False
    lines = run("list").out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("lightning "))
    assert any("linear weights" in line for line in lines[place : place + 3])


def test_keys(run: Callable[..., Any], golden: Callable[[str, str], None]) -> None:
    keys = json.loads(run("list", "--json").out)[0]
    golden("cli/list_keys.txt", "\n".join(keys) + "\n")
