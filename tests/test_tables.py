"""A table comes back from every file format as it went in, and files are whole or untouched."""

import copy
import json
import os
import pickle
import stat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freefim.errors import SpecError
from freefim.tables import Table, write_whole

FORMATS = (
    "csv",
    "json",
    "npz",
    pytest.param("parquet", marks=pytest.mark.extra("parquet")),
)

NAMES = st.from_regex(r"[a-zA-Zλ_][a-zA-Z0-9_]{0,6}", fullmatch=True).filter(
    lambda name: name not in ("metadata", "dtypes")
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(lambda s: s.rstrip("\0"))
CELLS = (
    st.floats(),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    TEXT,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 5))
    kinds = draw(st.dictionaries(NAMES, st.sampled_from(range(4)), min_size=1, max_size=4))
    dtypes = (np.float64, np.int64, np.bool_, np.str_)
    columns = {
        name: np.array(draw(st.lists(CELLS[k], min_size=rows, max_size=rows)), dtype=dtypes[k])
        for name, k in kinds.items()
    }
    return Table(columns, draw(st.dictionaries(NAMES, JSON, max_size=3)))


@pytest.mark.parametrize("suffix", FORMATS)
@given(table=tables())
def test_every_format_gives_the_table_back(tmp_path_factory, suffix, table):
    path = tmp_path_factory.mktemp("tables") / f"t.{suffix}"
    table.write(path)
    back = Table.read(path)
    assert back == table
    for name, values in table.columns.items():
        if values.dtype.kind == "f":  # equality does not see the sign of a zero
            signs = [np.signbit(column[values == 0]) for column in (back[name], values)]
            assert np.array_equal(*signs)


def test_a_difference_in_one_bit_one_kind_or_one_word_is_a_difference():
    table = Table({"x": [1.0, np.nan]}, {"a": 1})
    assert table == Table({"x": [1.0, np.nan]}, {"a": 1})
    assert table != Table({"x": [np.nextafter(1.0, 2), np.nan]}, {"a": 1})
    assert table != Table({"x": [1.0, np.nan]}, {"a": 2})
    assert table != Table({"y": [1.0, np.nan]}, {"a": 1})
    assert Table({"x": [1, 2]}) != Table({"x": [1.0, 2.0]})


def test_pandas_reads_the_csv_below_its_comments(tmp_path):
    pandas = pytest.importorskip("pandas")
    columns = {"x": [0.1, np.inf, np.nan], "n": [1, 2, 3], "name": ["a#b", "c,d", 'e"f']}
    table = Table(columns, {"atoms": [[0.0, 0.5]], "note": "a\n# b: c"})
    table.write(tmp_path / "t.csv")
    frame = pandas.read_csv(tmp_path / "t.csv", comment="#")
    assert list(frame) == list(columns)
    assert np.array_equal(frame["x"], columns["x"], equal_nan=True)
    assert frame["n"].tolist() == columns["n"]
    assert frame["name"].tolist() == columns["name"]
    same = table.to_pandas()
    assert same.attrs == dict(table.metadata)
    assert same["n"].tolist() == columns["n"]


def test_a_csv_made_by_hand_is_read(tmp_path):
    path = tmp_path / "hand.csv"
    path.write_bytes(b"\xef\xbb\xbfx,pdf\r\n0,1\r\n1,2e-3\r\n\r\n")
    assert Table.read(path) == Table({"x": [0.0, 1.0], "pdf": [1.0, 2e-3]})


def test_json_is_strict_json(tmp_path):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    table = Table({"x": [np.nan, np.inf, -np.inf]}, {"tail": np.float64(np.inf)})
    table.write(tmp_path / "t.json")
    document = json.loads((tmp_path / "t.json").read_text(), parse_constant=refuse)
    assert document["columns"]["x"] == ["NaN", "Infinity", "-Infinity"]
    assert document["metadata"]["tail"] == "Infinity"


def test_npz_opens_with_numpy_alone(tmp_path):
    # Names that numpy.savez itself could not write.
    table = Table({"file": [1.0], "allow_pickle": [2.0]}, {"atoms": []})
    table.write(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as archive:
        assert archive["file"] == [1.0]
        assert json.loads(str(archive["metadata"])) == {"atoms": []}


def test_a_table_is_a_value():
    source = np.array([1.0, 2.0])
    table = Table({"x": source})
    source[0] = 9.0
    assert table["x"][0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        table["x"][0] = 9.0
    with pytest.raises(TypeError):
        table.columns["y"] = source
    assert pickle.loads(pickle.dumps(table)) == copy.deepcopy(table) == table
    assert len(table) == 2


@pytest.mark.parametrize(
    ("columns", "metadata", "words"),
    [
        ({}, {}, "at least one"),
        ({"x": [1.0], "y": [1.0, 2.0]}, {}, "equal lengths, got {'x': 1, 'y': 2}"),
        ({"x": [[1.0]]}, {}, r"column 'x' .* shape \(1, 1\)"),
        ({"x": 1.0}, {}, "column 'x'"),
        ({"x": [1j]}, {}, "complex128"),
        ({"x": [None]}, {}, "object"),
        ({"x": np.array([2**64 - 1], np.uint64)}, {}, "uint64"),
        ({"a b": [1.0]}, {}, "identifier .* got 'a b'"),
        ({"metadata": [1.0]}, {}, "other than 'metadata'"),
        ({"x": [1.0]}, {"dtypes": 1}, "other than 'dtypes'"),
        ({"x": [1.0]}, {"law": object}, "metadata 'law' must hold what JSON can hold"),
        ({"x": [1.0]}, {"law": {1: 2}}, "metadata 'law' must hold what JSON can hold"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(columns, metadata, words):
    with pytest.raises(SpecError, match=words):
        Table(columns, metadata)


@pytest.mark.parametrize("name", ["t.txt", "t", "t.csv.gz"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path, name):
    for call in (Table({"x": [1.0]}).write, Table.read):
        with pytest.raises(SpecError, match=r"\.csv, \.json, \.npz, \.parquet, got .*" + name):
            call(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [b"", b"x,y\n1\n", b"x\nabc\n", b"[1]", b"\xff\xfe\x00", b"{}"])
def test_a_file_that_holds_no_table_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"t.{suffix}"
    path.write_bytes(content)
    with pytest.raises(SpecError, match="must hold a table"):
        Table.read(path)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(SpecError, match=r"must be a readable file, got .*no\.csv"):
        Table.read(tmp_path / "no.csv")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "t.csv"
    path.write_text("old")

    def write(stream):
        stream.write(b"half of the n")
        raise error

    with pytest.raises(error):
        write_whole(path, write)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["t.csv"]


def test_a_full_disk_is_a_spec_error(tmp_path):
    def write(stream):
        raise OSError(28, "No space left on device")

    with pytest.raises(SpecError, match="No space left"):
        write_whole(tmp_path / "t.csv", write)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["absent/t.csv", "file/t.csv", "folder.csv", "n" * 300 + ".csv"])
def test_a_place_where_nothing_can_be_written_is_refused(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(SpecError, match="existing, writable directory"):
        Table({"x": [1.0]}).write(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_permissions_are_respected(tmp_path):
    (tmp_path / "t.csv").touch(mode=0o444)
    with pytest.raises(SpecError, match="not a writable file"):
        Table({"x": [1.0]}).write(tmp_path / "t.csv")


@pytest.mark.skipif(os.name == "nt", reason="permission bits and links of POSIX")
def test_permission_bits_and_links_stay(tmp_path):
    table = Table({"x": [1.0]})
    new, old, link = (tmp_path / name for name in ("new.csv", "old.csv", "link.csv"))
    mask = os.umask(0o027)
    try:
        table.write(new)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    old.touch()
    old.chmod(0o604)
    link.symlink_to(old)
    table.write(link)
    assert link.is_symlink()
    assert stat.S_IMODE(old.stat().st_mode) == 0o604
    assert Table.read(old) == table
