"""The end of a page: where the run was made, with what settings, and how to make it again."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.report.comparison import Summary
from harness.report.facts import again
from harness.report.markup import Html, tag
from harness.report.tables import definitions
from harness.report.words import Words
from harness.store import RECORDS
from harness.trials import Recorded


def environment(summary: Summary, words: Words) -> Html:
    """Versions and machine, then every option of the run."""
    about, config = summary["run"]["environment"], summary["run"]["config"]
    return tag(
        "section",
        tag("h2", words("heading.environment")),
        definitions([(words.known(f"environment.{k}", k), _value(v)) for k, v in about.items()]),
        tag("h2", words("heading.configuration")),
        definitions(
            [(tag("code", key), _value(value)) for key, value in config.items()], class_="settings"
        ),
        id="environment",
    )


def reproduce(run: Recorded, summary: Summary, words: Words) -> Html:
    """The command, the seed, and what identifies the records."""
    status = run.manifest["status"]
    pairs = [
        (words("reproduce.seed"), _value(summary["run"]["config"]["seed"])),
        (words("reproduce.status"), words.known(f"reproduce.{status}", status)),
        (words("reproduce.segments"), summary["run"]["segments"]),
        (words("reproduce.prompts"), tag("code", run.manifest["prompt_version"])),
        (words("reproduce.git"), tag("code", summary["run"]["environment"].get("git") or "—")),
        (words("reproduce.records"), hashed(run.folder / RECORDS)),
    ]
    return tag(
        "section",
        tag("h2", words("heading.reproduce")),
        tag("p", words("reproduce.command")),
        tag("pre", tag("code", again(summary)), class_="command"),
        definitions(pairs),
        id="reproduce",
    )


def hashed(path: Path) -> Html:
    """A file with its SHA-256, by which a reader knows it again; a dash where it is no more."""
    if not path.exists():
        return tag("span", "—")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return tag("span", tag("code", path.name), " ", tag("code", f"sha256 {digest}", class_="hash"))


def _value(value: Any) -> object:
    """A setting as text; what is not set, or not known, is a dash."""
    if value is None:
        return "—"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(found)}" for key, found in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else value
