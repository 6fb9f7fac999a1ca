import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dgbench.core.files import read_json, whole, write_json
from dgbench.core.seeds import generator, seed, seed_below
from dgbench.core.spec import canonical, identity


def test_identity_depends_on_content_not_on_order() -> None:
    assert identity({"a": 1, "b": [0.1, None]}) == identity({"b": [0.1, None], "a": 1})
    assert identity({"a": 1}) != identity({"a": 2})
    assert canonical({"b": 0.1, "a": "é"}) == '{"a":"é","b":0.1}'


def test_a_spec_with_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": math.nan})


def test_seeds_are_the_same_in_every_process() -> None:
    code = "from dgbench.core.seeds import seed; print(seed('batch', 'print', 3))"
    for hash_seed in ("1", "2"):
        printed = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        )
        assert int(printed.stdout) == seed("batch", "print", 3)


def test_seeds_tell_numbers_from_text_and_names_from_their_joints() -> None:
    assert len({seed("a", 1), seed("a", "1"), seed("a1"), seed("a", 1, ""), seed("a", 11)}) == 5
    assert generator("x").random() == generator("x").random()


@pytest.mark.parametrize("names", [(), ("a",), ("a", 1), ("1", "", "é")])
@pytest.mark.parametrize("above", [("x",), ("order", "cameras", *(f"camera {number}" for number in range(99)), 0)])
def test_a_seed_below_names_that_are_read_once_is_that_of_all_names(
    above: tuple[str | int, ...], names: tuple[str | int, ...]
) -> None:
    assert [seed_below(above, *names) for _ in range(2)] == [seed(*above, *names)] * 2


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.json"

    def fail_halfway() -> None:
        with whole(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert list(path.parent.iterdir()) == []
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]
