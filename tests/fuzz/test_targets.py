"""Every parser of what strangers send, on kept inputs and on what hypothesis makes of them."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .targets import CORPUS, LONGEST_SECONDS, TARGETS, corpus_of

FOUND = Path(__file__).parent / "found"


def kept() -> list[Path]:
    return [
        path
        for folder in (CORPUS, FOUND)
        for name in TARGETS
        for path in sorted(folder.glob(f"{name}/*"))
    ]


@st.composite
def changed(draw: st.DrawFn, name: str) -> bytes:
    """A kept input with a piece of another, or of noise, in the place of one of its own."""
    inputs = [path.read_bytes() for path in corpus_of(name)]
    data = draw(st.sampled_from(inputs))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        other = draw(st.sampled_from(inputs))
        at = draw(st.integers(0, len(other)))
        piece = draw(st.one_of(st.binary(max_size=20), st.just(other[at : at + 40])))
        data = data[:start] + piece * draw(st.sampled_from([1, 1, 1, 50])) + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_is_begun_with_something(name: str) -> None:
    assert len(corpus_of(name)) >= 3


@pytest.mark.parametrize("path", kept(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_is_kept_is_parsed_or_refused_within_a_second(path: Path) -> None:
    TARGETS[path.parent.name].try_in_time(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_that_is_sent_is_a_bug(name: str) -> None:
    @settings(
        max_examples=60,
        deadline=LONGEST_SECONDS * 1000,
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
    )
    @given(st.one_of(changed(name), st.binary(max_size=2_000)))
    def run(data: bytes) -> None:
        TARGETS[name].try_on(data)

    run()
