"""Stories for tests: two made by hand, and hypothesis strategies for any others."""

import json
from collections.abc import Sequence

from hypothesis import strategies as st

from harness.story import Stock, Story, Turn


def _story(
    names: tuple[str, ...],
    risk: str,
    about: str,
    hope: str,
    turns: Sequence[tuple[str, str, str, tuple[tuple[int, int], ...]]],
) -> Story:
    return Story(
        tuple(
            Turn(
                number,
                result,
                news,
                tag,
                tuple(
                    Stock(name, risk, f"{name}{about}", before, after, hope)
                    for name, (before, after) in zip(names, prices, strict=True)
                ),
            )
            for number, (result, news, tag, prices) in enumerate(turns, start=1)
        )
    )


KOREAN = _story(
    ("🔥 불꽃 빵집", "바람 연날리기"),
    "고위험 고수익",
    "에서 만나요.",
    "값이 오를 수 있어요.",
    [
        ("빵이 노릇노릇 구워졌어요.", "내일은 바람이 불어요.", "all", ((100, 120), (50, 40))),
        ("연이 하늘 높이 날았어요.", "밀가루가 모자라요.", "🔥 불꽃 빵집", ((120, 90), (40, 70))),
        ("모두 빵을 나누어 먹었어요.", "축제가 열려요.", "바람 연날리기", ((90, 95), (65, 80))),
    ],
)
"""Three turns, two stocks; every price joint holds but the last of the second stock."""

ENGLISH = _story(
    ("Dragon Bakery", "Kite Hill"),
    "high risk",
    " is where friends meet.",
    "It may rise.",
    [
        ("The bread turned golden.", "Strong wind tomorrow.", "all", ((100, 120), (50, 40))),
        ("The kites flew high.", "Flour is running out.", "Dragon Bakery", ((120, 90), (40, 70))),
    ],
)

# Pieces that make trouble for readers of JSON in free text.
FRAGMENTS = (
    *("[", "]", "{", "}", '"', "\\", ",", ":", " ", "\n", "\t", "\0", "\\u00", "\ud83d", "é", "가"),
    *("```json\n", "```", "NaN", "-", "1", "1e5", "9" * 5000, "null", '"a"', '{"a":1}', "[1, 2]"),
    *('[{"turn_number":1,', '[ {\n"news" :', '[{"stocks":[', '[{"tur', '[{"', '"stocks":[{"name":'),
    *('{"story_data":', '[{"result":', '"turn_number":2,', '[{"\\u006eews":"x"}]', '[{"x":1}]'),
)

texts = st.one_of(
    st.text(alphabet='[]{}",:\\/ \n\0\u2028a1é가나😀', max_size=10),
    st.sampled_from([f for f in FRAGMENTS if f != "\ud83d"]),
)
"""Short texts without lone surrogates, JSON's own marks among them."""


@st.composite
def stories(draw: st.DrawFn, max_turns: int = 3, max_stocks: int = 3) -> Story:
    """Any valid story."""
    names = draw(
        st.lists(
            texts.filter(lambda name: bool(name.strip())),
            min_size=1,
            max_size=max_stocks,
            unique=True,
        )
    )
    stocks = st.tuples(
        *(
            st.builds(Stock, st.just(name), texts, texts, st.integers(), st.integers(), texts)
            for name in names
        )
    )
    tags = st.sampled_from(["all", *names])
    return Story(
        tuple(
            Turn(number, draw(texts), draw(texts), draw(tags), draw(stocks))
            for number in range(1, draw(st.integers(1, max_turns)) + 1)
        )
    )


@st.composite
def written(draw: st.DrawFn, story: Story) -> str:
    """The story as JSON in any usual layout, its fields in any order."""
    data = [
        {key: turn[key] for key in draw(st.permutations(list(turn)))} for turn in story.to_data()
    ]
    return json.dumps(
        data,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 1, "\t"])),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n", " : ")])),
    )


def chatter(broken_stories: bool = True) -> st.SearchStrategy[str]:
    """What surrounds a story: brackets, fences, JSON and, if wanted, beginnings of stories."""
    begins = ('[{"turn', '[ {\n"news', '[{"stocks', '[{"result', '[{"\\u006e')
    fragments = [f for f in FRAGMENTS if broken_stories or not f.startswith(begins)]
    return st.lists(st.sampled_from([*fragments, "그래요", "b"]), max_size=8).map("".join)


def chunks(text: str) -> st.SearchStrategy[list[str]]:
    """The text cut at any places, empty chunks included."""
    cuts = st.lists(st.integers(0, len(text)), max_size=12).map(sorted)
    return cuts.map(lambda at: [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)])
