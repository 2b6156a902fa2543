"""Texts that must not change unnoticed."""

import os
from pathlib import Path

DATA = Path(__file__).with_name("data")


def same_as_golden(text: str, name: str) -> None:
    """AssertionError unless ``text`` is what ``data/NAME`` holds.

    With UPDATE_GOLDEN set the file is written anew, and the test fails all the same, so that
    nobody takes a new golden file for a passed test.
    """
    path = DATA / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, "utf-8")
        raise AssertionError(f"{path} was written: read it, then run the test again")
    assert text == path.read_text("utf-8")
