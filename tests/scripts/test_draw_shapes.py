"""What the shapes are drawn into."""

from pathlib import Path

import pytest
from scripts_loaded import load_script


@pytest.mark.parametrize(("pictures", "masks"), [("a", "a"), ("a", "a/b"), ("a/b", "a")], ids=["same", "in", "around"])
def test_masks_overwrite_no_pictures(
    pictures: str, masks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["draw_shapes.py", pictures, "--masks", masks, "--count", "1"])
    with pytest.raises(SystemExit, match="lie one in the other"):
        load_script("draw_shapes").main()
    assert not list(tmp_path.iterdir())
