"""Why a call got no answer, in the language of the page; what others said, as a quotation."""

import re

from harness.report.markup import Html, fill, tag, text
from harness.report.words import Words


def failure(message: str, words: Words) -> Html:
    """Why a call got no answer: the harness's words in the language of the page, those of a server
    or a program as a quotation in theirs.
    """
    if not message:
        return text("—")
    found = words.matched(message, "failure")
    if found is None:
        return _quoted(message)
    key, parts = found
    quote = {"quote": _quoted(parts["quote"])} if "quote" in parts else {}
    return fill(words(key), **{**parts, **quote})


def _quoted(said: str) -> Html:
    return tag("q", said, lang="ko" if re.search("[가-힣]", said) else "en")
