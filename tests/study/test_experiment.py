"""What all experiments are made of: records that are continued, tables, figures and templates."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from PIL import Image

from teamnet.errors import CheckpointError, SpecError
from teamnet.study.experiment.figure import as_png, new_figure
from teamnet.study.experiment.records import Records, Settings, read_records
from teamnet.study.experiment.table import aligned, markdown, percent, shown
from teamnet.study.experiment.template import render
from tests.study.folders import contents

SETTINGS = Settings("thing.json", b"{}")


def _records(folder: Path, *, overwrite: bool = False, settings: Settings | None = SETTINGS) -> Records:
    return Records(folder, "sweep", ["rows.jsonl", "rows.md"], overwrite=overwrite, settings=settings)


def test_records_are_on_the_disk_as_they_are_added_and_are_continued(tmp_path: Path):
    folder = tmp_path / "new"
    with _records(folder) as records:
        assert not folder.exists(), "nothing is made before there is a record"
        records.add({"number": 1, "pair": (1, 2)})
        assert read_records(folder / "rows.jsonl") == records.rows == [{"number": 1, "pair": [1, 2]}]
    with _records(folder) as again:
        again.add({"number": 2})
    assert [row["number"] for row in read_records(folder / "rows.jsonl")] == [1, 2]
    assert (folder / "thing.json").read_bytes() == SETTINGS.content


def test_records_have_one_writer_at_a_time(tmp_path: Path):
    def refused() -> bool:
        with pytest.raises(SpecError) as refusal:
            _records(tmp_path)
        return refusal.value.where == "out"

    def fail() -> None:
        with _records(tmp_path) as records:
            records.add({"number": 1})
            assert refused()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with _records(tmp_path) as again:
        assert refused()
        assert [row["number"] for row in again.rows] == [1]


def test_of_two_that_begin_in_one_new_folder_the_second_is_refused(tmp_path: Path):
    with _records(tmp_path / "new") as second:
        with _records(tmp_path / "new") as first:
            first.add({"number": 1})
            with pytest.raises(SpecError):
                second.add({"number": 2})
        with pytest.raises(SpecError) as refusal:
            second.add({"number": 2})
    assert refusal.value.where == "out"
    assert [row["number"] for row in read_records(tmp_path / "new/rows.jsonl")] == [1]


def test_records_of_other_settings_are_neither_continued_nor_replaced_unasked(tmp_path: Path):
    with _records(tmp_path) as records:
        records.add({"number": 1})
    before = contents(tmp_path)
    for settings in (Settings("thing.json", b"[]"), None):
        with pytest.raises(SpecError) as refusal:
            _records(tmp_path, settings=settings)
        assert refusal.value.where == "out"
    with _records(tmp_path, settings=Settings("thing.json", b"[]"), overwrite=True) as replacing:
        assert contents(tmp_path) == before, "results stay until there are new ones"
        replacing.add({"number": 9})
    assert contents(tmp_path)["thing.json"] == b"[]"
    assert read_records(tmp_path / "rows.jsonl") == [{"number": 9}]


@pytest.mark.parametrize("content", [b"{", b"[]\n", b"\xff", b'{"number": 1}\n{"num'])
def test_damaged_records_are_refused_by_name(tmp_path: Path, content: bytes):
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(CheckpointError) as refusal:
        read_records(tmp_path / "rows.jsonl")
    assert refusal.value.where == str(tmp_path / "rows.jsonl")
    assert read_records(tmp_path / "none.jsonl") == []


def test_tables():
    rows = [["map", "1"], ["backprop", "23"]]
    assert markdown(["a", "b"], rows).splitlines() == [
        "| a | b |", "| --- | ---: |", "| map | 1 |", "| backprop | 23 |",
    ]
    assert aligned(["method", "steps/s"], rows) == ["  method  steps/s", "     map        1", "backprop       23"]
    assert aligned(["method", "steps/s"], []) == ["method  steps/s"]
    assert (shown(None), shown(1.25, "{:.1f}x"), percent(None), percent(0.126)) == ("-", "1.2x", "-", "13 %")


def test_a_figure_has_its_panels_and_no_alpha_channel():
    figure, panels = new_figure(3, 2, 2.0, 1.0)
    assert panels.shape == (2, 2)
    assert [axes.get_visible() for axes in panels.flat] == [True, True, True, False]
    with Image.open(BytesIO(as_png(figure, dpi=50))) as picture:
        assert (picture.mode, picture.size) == ("RGB", (200, 100))


def test_a_template_needs_all_its_values():
    with pytest.raises(UndefinedError):
        render("ablation/report.md.j2")
