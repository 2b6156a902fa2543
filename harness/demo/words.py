"""Every word that the demo says, in English and in Korean; the texts are in TOML beside this."""

import re
import tomllib
from functools import cache
from pathlib import Path

LANGS = ("en", "ko")

_PLACEHOLDER = re.compile(r"\\\{(\w+)\\\}")


@cache
def texts() -> dict[str, dict[str, tuple[str, str]]]:
    """Section → name → its English and its Korean text."""
    read = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))
    return {
        section: {name: (pair[0], pair[1]) for name, pair in names.items()}
        for section, names in read.items()
    }


class Words:
    """The texts of one language, "en" or "ko": ``words("way.job")``."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self._at = LANGS.index(lang)

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key`` with its {placeholders} filled. Raises KeyError."""
        section, _, name = key.partition(".")
        text = texts()[section][name][self._at]
        return text.format(**values) if values else text

    def known(self, key: str, otherwise: str) -> str:
        """The text of ``key``, or ``otherwise``."""
        section, _, name = key.partition(".")
        return self(key) if name in texts()[section] else otherwise

    def translated(self, section: str, english: str) -> str:
        """What another module says in English, in this language: as ``section`` has it, else as
        it is.
        """
        for name, (pattern, _) in texts()[section].items():
            if match := re.fullmatch(_pattern(pattern), english, re.DOTALL):
                return self(f"{section}.{name}", **match.groupdict())
        return english


def _pattern(template: str) -> str:
    return _PLACEHOLDER.sub(r"(?P<\1>.+)", re.escape(template))
