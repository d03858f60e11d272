"""Names that are nearly right."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

LETTERS = st.sampled_from("abcdlnoprtCP-:/.v01 [](){}#²é")
ODD_LETTERS = st.sampled_from("\0\n\ud800")


@st.composite
def near(draw: st.DrawFn, known: Sequence[str], letters: st.SearchStrategy[str] = LETTERS) -> str:
    """A known name with up to two letters changed, taken out or put in."""
    name = draw(st.sampled_from(known))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(name)))
        name = name[:place] + draw(letters | st.just("")) + name[place + draw(st.integers(0, 1)) :]
    return name
