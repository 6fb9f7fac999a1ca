from dgbench.core.shift_families import FAMILIES, FOLDS


def test_the_folds_are_the_papers_alphabetical_halves() -> None:
    assert tuple(sorted(FAMILIES)) == FAMILIES
    assert len(FAMILIES) == 10
    assert FOLDS[0] + FOLDS[1] == FAMILIES
    assert FOLDS[0] == ("arithmetic", "artistic", "blur", "color", "contrast")
    assert FOLDS[1] == ("convolutional", "edges", "geometric", "segmentation", "weather")
