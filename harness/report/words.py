"""Every word that a report says, in English and in Korean; the texts are in ``words.toml``."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

Lang: TypeAlias = Literal["en", "ko"]
LANGS: tuple[Lang, ...] = ("en", "ko")

_FEW = re.compile(r"n = (\d+) < (\d+)")
_EQUAL = re.compile(r"all (\d+) values are equal.*")


@cache
def texts() -> dict[str, tuple[str, str]]:
    """Key (``section.name``) → its English and its Korean text."""
    data = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))
    return {
        f"{section}.{name}": (pair[0], pair[1])
        for section, names in data.items()
        for name, pair in names.items()
    }


class Words:
    """The texts of one language: ``words("axis.trials")``."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang
        self._at = LANGS.index(lang)

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key`` with its {placeholders} filled. Raises KeyError."""
        text = texts()[key][self._at]
        return text.format(**values) if values else text

    def known(self, key: str, otherwise: str) -> str:
        """The text of ``key``, or ``otherwise`` (such as the name that a plug-in gave)."""
        return self(key) if key in texts() else otherwise

    def remedy(self, check: str, english: str) -> str:
        """What to do when a validity check is broken; ``english`` is what the check itself says."""
        return english if self.lang == "en" else self.known(f"remedy.{check}", english)

    def reason(self, warning: str, *, blocks: bool = False) -> str:
        """A warning of an estimate, which is English, in this language; ``blocks``: its n counts
        blocks, not trials.
        """
        if blocks and (match := _FEW.fullmatch(warning)):
            return self("reason.few_blocks", n=match[1], least=match[2])
        if self.lang == "en" or _FEW.fullmatch(warning):
            return warning
        if match := _EQUAL.fullmatch(warning):
            return self("reason.equal", n=match[1])
        for key in ("zero_mean", "blocks_at_zero", "dependent", "quantile_edge"):
            if warning == texts()[f"reason.{key}"][0]:
                return self(f"reason.{key}")
        return warning
