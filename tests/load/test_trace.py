"""Trace files: the moments as they were, and errors that name their line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.load.trace import read_trace


def trace(tmp_path: Path, text: str, name: str = "t.jsonl") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def test_seconds_count_from_the_first_request(tmp_path: Path) -> None:
    path = trace(tmp_path, '{"timestamp": 100.5}\n\n{"timestamp": 100.75}\n{"timestamp": "101"}\n')
    assert read_trace(path).tolist() == [0, 0.25, 0.5]


def test_milliseconds_by_name_and_in_mooncake_traces(tmp_path: Path) -> None:
    own = trace(tmp_path, '{"timestamp_ms": 1000}\n{"timestamp_ms": 3500}')
    assert read_trace(own).tolist() == [0, 2.5]
    line = '{{"timestamp": {}, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}}\n'
    mooncake = trace(tmp_path, line.format(0) + line.format(3052))
    assert read_trace(mooncake).tolist() == [0, 3.052]


def test_csv_with_seconds_or_dates(tmp_path: Path) -> None:
    burst = trace(tmp_path, "Timestamp,Model\n5,ChatGPT\n45,GPT-4\n\n", "t.csv")
    assert read_trace(burst).tolist() == [0, 40]
    azure = trace(
        tmp_path,
        "\ufeffTIMESTAMP,ContextTokens\n"
        "2023-11-16 18:15:46.6805900,374\n2023-11-16 18:15:50.9951690,396\n",
        "t.csv",
    )
    assert read_trace(azure) == pytest.approx([0, 4.314579])


def test_a_trace_is_cut_by_duration_and_requests(tmp_path: Path) -> None:
    path = trace(tmp_path, "".join(f'{{"time": {i}}}\n' for i in range(10)))
    assert read_trace(path, duration=3).tolist() == [0, 1, 2]
    assert read_trace(path, requests=2).tolist() == [0, 1]
    assert len(read_trace(path, duration=3, requests=9)) == 3


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ('{"timestamp": 1}\n{"timestamp": 0.5}\n', "t.jsonl", "line 2: is earlier"),
        ('{"timestamp": 1}\nnothing\n', "t.jsonl", "line 2: is not JSON"),
        ("[1]\n", "t.jsonl", "line 1: is not a JSON object"),
        ('{"when": 1}\n', "t.jsonl", "line 1: has none of timestamp_ms"),
        ('{"timestamp": true}\n', "t.jsonl", "line 1: timestamp: True is no moment"),
        ('{"timestamp": "soon"}\n', "t.jsonl", "'soon' is no moment"),
        ('{"timestamp": null}\n', "t.jsonl", "None is no moment"),
        ("timestamp,x\n1,2\n3\n", "t.csv", "line 3: has 1 fields, the header 2"),
        ("timestamp,x\nnan,2\n", "t.csv", "line 2: timestamp: 'nan' is no moment"),
        ("a,b\n1,2\n", "t.csv", "line 2: has none of"),
        ("", "t.jsonl", "holds no request"),
        ("timestamp\n", "t.csv", "holds no request"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, name: str, says: str) -> None:
    path = trace(tmp_path, text, name)
    with pytest.raises(InputError) as caught:
        read_trace(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_trace(tmp_path / "none.jsonl")
    (tmp_path / "b.csv").write_bytes(b"timestamp\n\xff\xfe\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_trace(tmp_path / "b.csv")


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=50).map(sorted))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, moments: list[float]
) -> None:
    folder = tmp_path_factory.mktemp("trace")
    jsonl = trace(folder, "".join(f'{{"timestamp": {m!r}}}\n' for m in moments))
    rows = trace(folder, "timestamp\n" + "".join(f"{m!r}\n" for m in moments), "t.csv")
    expected = np.array(moments) - moments[0]
    assert read_trace(jsonl).tolist() == expected.tolist()
    assert read_trace(rows).tolist() == expected.tolist()
