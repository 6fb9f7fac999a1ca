"""Execute the notebook of the documentation and write what came of it, without what differs from machine to machine.

python scripts/run_notebook.py

It runs in an empty folder, with a store and a cache of its own, which are removed afterwards.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs" / "compare-in-a-notebook.ipynb"
_QUIET = "import warnings; warnings.filterwarnings('ignore', 'IProgress not found')"
"""Of widgets that nothing here uses."""


def executed(notebook: nbformat.NotebookNode, folder: Path, timeout: int = 300) -> nbformat.NotebookNode:
    """A notebook with what its cells give when they run from top to bottom.

    Args:
        notebook: What it had given before is not kept.
        folder: Where it runs.
        timeout: Seconds that a cell may take.

    Raises:
        CellExecutionError: a cell failed.
    """
    notebook = nbformat.from_dict(notebook)
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    client = NotebookClient(notebook, timeout=timeout, resources={"metadata": {"path": str(folder)}})
    client.extra_arguments = [f"--InteractiveShellApp.exec_lines={_QUIET}"]
    client.execute()
    notebook.metadata.language_info = {"name": "python"}  # not which Python it was
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", ()):
            if output.output_type == "display_data":  # progress ends with how long it took
                output.data = {kind: re.sub(r"in \d+:\d\d", "", text) for kind, text in output.data.items()}
    return notebook


if __name__ == "__main__":
    with TemporaryDirectory() as folder, TemporaryDirectory() as cache:
        os.environ["DGBENCH_CACHE"] = cache
        nbformat.write(executed(nbformat.read(NOTEBOOK, as_version=4), Path(folder)), NOTEBOOK)
