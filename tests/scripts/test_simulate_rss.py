"""With unlabelled points of elsewhere a head of few labelled ones is right more often, as RSS' paper says."""

from __future__ import annotations

from scripts_loaded import load_script


def test_unlabelled_points_of_elsewhere_help_where_labels_are_few() -> None:
    script = load_script("simulate_rss")
    alone, robust, ramp = (script.accuracy(0, 40, objective) for objective in script.OBJECTIVES.values())
    assert alone < 0.7
    assert min(robust, ramp) > alone + 0.08
