"""What ``docs/architecture.md`` promises of the tree."""

import graphlib

import grimp


def test_no_module_comes_back_to_itself_not_even_for_types() -> None:
    graph = grimp.build_graph("dgbench", include_external_packages=False, exclude_type_checking_imports=False)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert "dgbench.api" in imported["dgbench"]  # under TYPE_CHECKING: such imports are seen
    order = tuple(graphlib.TopologicalSorter(imported).static_order())  # raises CycleError, which names the circle
    assert len(order) == len(graph.modules) > 200
