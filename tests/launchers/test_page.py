"""The page on launchers: what it gives to be copied does what it says."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "launchers.md").read_text(encoding="utf-8")


def test_a_script_of_slurm_that_is_signalled_asks_to_be_started_again(tmp_path: Path) -> None:
    script = next(block for block in PAGE.split("```") if "#SBATCH" in block)
    programs = {
        "dgbench": "trap 'sleep 0.3; touch kept; exit 143' TERM; touch begun; while :; do sleep 0.05; done",
        "scontrol": 'test -e kept && echo "$@" > again',
    }
    for name, does in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{does}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "job.sh").write_text(script)
    stop = "bash job.sh & while ! test -e begun; do sleep 0.02; done; kill -TERM $!; wait"
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_ID": "17"}
    subprocess.run(["bash", "-c", stop], cwd=tmp_path, env=environment, timeout=20, check=True)
    assert (tmp_path / "again").read_text() == "requeue 17\n"
