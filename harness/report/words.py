"""Every word that a report says, in English and in Korean; the texts are in TOML beside this."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

Lang: TypeAlias = Literal["en", "ko"]
LANGS: tuple[Lang, ...] = ("en", "ko")

_FEW = re.compile(r"n = (\d+) < (\d+)")


@cache
def texts() -> dict[str, tuple[str, str]]:
    """Key (``section.name``) → its English and its Korean text."""
    here = Path(__file__).parent
    return {
        f"{section}.{name}": (pair[0], pair[1])
        for file in ("words.toml", "claims.toml", "comparing.toml", "reasons.toml")
        for section, names in tomllib.loads((here / file).read_text("utf-8")).items()
        for name, pair in names.items()
    }


@cache
def _patterns(section: str) -> list[tuple[str, re.Pattern[str]]]:
    """The keys of a section with the English text of each as a pattern, most specific first."""
    found = []
    for key, (english, _) in texts().items():
        if key.partition(".")[0] == section:
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(english))
            found.append((key, re.compile(pattern, re.DOTALL)))
    return found


def language(lang: str) -> Lang:
    """``lang`` as one of the languages. Raises ValueError for another."""
    for known in LANGS:
        if lang == known:
            return known
    raise ValueError(f"no language {lang!r}: {' or '.join(LANGS)}")


class Words:
    """The texts of one language: ``words("axis.trials")``."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang
        self._at = LANGS.index(lang)

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key`` with its {placeholders} filled. Raises KeyError."""
        text = texts()[key][self._at]
        return text.format(**values) if values else text

    def amount(self, number: str, unit: str) -> str:
        """A number with its unit; Korean counters follow without a space."""
        return f"{number}{unit}" if "가" <= unit[:1] <= "힣" else f"{number} {unit}"

    def known(self, key: str, otherwise: str) -> str:
        """The text of ``key``, or ``otherwise`` (such as the name that a plug-in gave)."""
        return self(key) if key in texts() else otherwise

    def remedy(self, check: str, english: str) -> str:
        """What to do when a validity check is broken; ``english`` is what the check itself says."""
        return english if self.lang == "en" else self.known(f"remedy.{check}", english)

    def translated(self, text: str, *sections: str) -> str:
        """An English text of the figures, by its pattern in one of ``sections``, in this language;
        what stands in its placeholders likewise. As it is where no pattern fits.
        """
        if self.lang == LANGS[0]:
            return text
        for section in sections:
            if found := self.matched(text, section):
                key, said = found
                parts = {
                    name: "; ".join(
                        self.translated(part, f"{section}_part", section)
                        for part in value.split("; ")
                    )
                    for name, value in said.items()
                }
                return self(key, **parts)
        return text

    def matched(self, text: str, section: str) -> tuple[str, dict[str, str]] | None:
        """The first key of ``section`` whose English has the pattern of ``text``, and what stands
        in its placeholders; None without one.
        """
        for key, pattern in _patterns(section):
            if match := pattern.fullmatch(text):
                return key, match.groupdict()
        return None

    def reason(self, warning: str, *, blocks: bool = False) -> str:
        """A warning of an estimate, which is English, in this language; ``blocks``: its n counts
        blocks, not trials.
        """
        if blocks and (match := _FEW.fullmatch(warning)):
            return self("reason.few_blocks", n=match[1], least=match[2])
        return self.translated(warning, "reason")
