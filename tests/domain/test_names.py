from host.domain.errors import NotFoundError
from host.domain.names import nearest_names


def test_a_misspelt_name_finds_its_neighbours_best_first():
    assert (
        nearest_names("files__raed", ["files__read", "files__write", "memory__recall"])[0]
        == "files__read"
    )


def test_a_part_of_a_name_is_near():
    assert nearest_names("recall", ["memory__recall", "files__read"]) == ["memory__recall"]


def test_nothing_is_near_an_unlike_name():
    assert nearest_names("zzz", ["files__read"]) == []


def test_a_failed_look_up_names_what_was_meant():
    error = NotFoundError("tool", "wether", ["weather", "files"])
    assert str(error) == "There is no tool named 'wether'. Did you mean weather?"
