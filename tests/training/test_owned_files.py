"""Only what teamnet itself wrote is replaced or deleted, whatever lies in a folder and whenever it is killed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet.errors import ResourceError, SpecError, TeamnetError
from teamnet.training import owned_files
from teamnet.training.owned_files import OwnedFiles
from tests.hostile.law import cases
from tests.hostile.plain import damaged
from tests.study.folders import contents


def refuses(action: Callable[[], object]) -> bool:
    try:
        action()
    except SpecError as error:
        return error.where == "out"
    return False


def test_what_it_wrote_is_replaced_and_deleted_and_nothing_else(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    owned = OwnedFiles(tmp_path, "comm")
    owned.write("comm.jsonl", b"1")
    owned.write("figures/a.png", b"2")
    owned.write("comm.jsonl", b"3")
    again = OwnedFiles(tmp_path, "comm")
    again.check(["comm.jsonl", "figures/a.png", "new"])
    again.write("comm.jsonl", b"4")
    assert (tmp_path / "comm.jsonl").read_bytes() == b"4"
    assert refuses(lambda: OwnedFiles(tmp_path, "scale").check(["comm.jsonl"])), "another command's file"
    again.remove("figures/a.png")
    assert not (tmp_path / "figures/a.png").exists()
    again.remove("notes.html")
    again.remove_all()
    assert contents(tmp_path) == {"notes.txt": b"mine"}


def test_earlier_results_are_replaced_only_if_that_is_asked_for(tmp_path: Path):
    owned = OwnedFiles(tmp_path / "new", "comm")
    owned.check_new(["comm.jsonl"], overwrite=False)
    assert not (tmp_path / "new").exists(), "checks make nothing"
    owned.write("comm.jsonl", b"1")
    assert refuses(lambda: owned.check_new(["comm.md"], overwrite=False))
    owned.check_new(["comm.md"], overwrite=True)
    (tmp_path / "new/comm.md").write_text("mine")
    assert refuses(lambda: owned.check_new(["comm.md"], overwrite=True))
    owned.check_new(["comm.jsonl"], overwrite=True)
    (tmp_path / "new/comm.jsonl").unlink()
    owned.check_new(["comm.jsonl"], overwrite=False)


def _foreign(path: Path) -> None:
    path.write_text("mine")


def _folder(path: Path) -> None:
    path.mkdir()


def _dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def _linked(path: Path) -> None:
    (path.parent / "own").write_bytes(b"1")  # with the very content that is listed
    path.symlink_to(path.parent / "own")


@pytest.mark.parametrize("put", [_foreign, _folder, _dangling, _linked])
@pytest.mark.parametrize("known", [False, True])
def test_whatever_lies_in_the_place_of_a_file_stays(put: Callable[[Path], None], known: bool, tmp_path: Path):
    owned = OwnedFiles(tmp_path, "comm")
    if known:
        owned.write("comm.jsonl", b"1")
        (tmp_path / "comm.jsonl").unlink()
    put(tmp_path / "comm.jsonl")
    before = contents(tmp_path)
    assert refuses(lambda: owned.check(["comm.jsonl"]))
    assert refuses(lambda: owned.write("comm.jsonl", b"2"))
    assert refuses(lambda: owned.remove("comm.jsonl"))
    assert refuses(owned.remove_all) == known
    assert contents(tmp_path) == {name: before[name] for name in before if known or name != ".teamnet-comm.json"}


def test_nothing_is_deleted_where_one_file_was_changed(tmp_path: Path):
    owned = OwnedFiles(tmp_path, "comm")
    for name in "abc":
        owned.write(name, name.encode())
    (tmp_path / "a").write_text("changed")
    assert refuses(owned.remove_all)
    assert {name for name in contents(tmp_path) if len(name) == 1} == {"a", "b", "c"}


@pytest.mark.parametrize("link_to", [".", "elsewhere"])
def test_a_link_below_the_folder_is_not_followed(link_to: str, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "figures").symlink_to(tmp_path / link_to)
    (tmp_path / "elsewhere/a.png").write_text("mine")
    before = contents(tmp_path)
    assert refuses(lambda: OwnedFiles(tmp_path, "paper").write("figures/a.png", b"1"))
    assert contents(tmp_path) == before


def test_the_folder_itself_may_be_a_link(tmp_path: Path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "scratch")
    owned = OwnedFiles(tmp_path / "out", "comm")
    owned.write("comm.jsonl", b"1")
    owned.write("comm.jsonl", b"2")
    assert (tmp_path / "scratch/comm.jsonl").read_bytes() == b"2"


_NAMES = st.sampled_from(["/etc/passwd", "../x", "a/../../x", "..", ".", "", "a//b", "./a", "a/", "a/./b"])


@pytest.mark.parametrize("how", ["names", "damaged", "bytes", "link"])
def test_a_list_that_is_not_as_it_was_written_is_not_believed(how: str, tmp_path: Path):
    folder = tmp_path / "out"
    owned, path = OwnedFiles(folder, "comm"), folder / ".teamnet-comm.json"
    digest = hashlib.sha256(b"1").hexdigest()
    whole = {"format": 1, "kind": "comm", "files": {"a": [digest]}}
    folder.mkdir()
    for place in ("x", "a", "out/foreign", "list"):
        (tmp_path / place).write_bytes(b"1")

    @cases(60)
    @given(st.data())
    def check(data: st.DataObject):
        path.unlink(missing_ok=True)
        (folder / "a").write_bytes(b"1")
        listed = whole
        if how == "names":
            listed = whole | {"files": {data.draw(_NAMES): [digest]}}
        elif how == "damaged":
            listed = data.draw(damaged(whole))
        text = data.draw(st.binary(max_size=50)) if how == "bytes" else json.dumps(listed).encode()
        if how == "link":
            (tmp_path / "list").write_bytes(text)
            path.symlink_to(tmp_path / "list")
        else:
            path.write_bytes(text)
        before = contents(tmp_path)
        refused = refuses(lambda: owned.check([]))
        assert refused or how == "damaged", "damage may leave a list that is one"
        if refused:
            assert refuses(lambda: owned.write("new", b"2"))
            assert refuses(owned.remove_all)
            assert contents(tmp_path) == before
        elif not refuses(lambda: owned.write("a", b"2")):
            assert digest in listed["files"]["a"]
        for place in ("x", "a", "out/foreign"):
            assert (tmp_path / place).read_bytes() == b"1"

    check()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=2)), min_size=1, max_size=6), st.data())
@cases(60)
def test_killed_anywhere_it_knows_its_own_files_and_no_others(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[str, bytes]], data: st.DataObject
):
    folder = tmp_path_factory.mktemp("killed")
    left = data.draw(st.integers(0, 2 * len(writes)))
    write = owned_files.write_atomically

    def dies(path: Path, content: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise ResourceError(str(path), expected="room for it", found="none", remedy="Make room.")
        write(path, content)

    (folder / "foreign").write_bytes(b"1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owned_files, "write_atomically", dies)
        for name, content in writes:
            try:
                OwnedFiles(folder, "comm").write(name, content)
            except TeamnetError:
                break
    after = OwnedFiles(folder, "comm")
    after.check("abc")
    assert refuses(lambda: after.check(["foreign"]))
    for name in "abc":
        after.write(name, b"anew")
        after.write(name, b"again")
    after.remove_all()
    assert contents(folder) == {"foreign": b"1"}
