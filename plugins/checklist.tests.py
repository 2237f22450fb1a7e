from plugin import add, done, show


def test_what_is_due_first_stands_first():
    add("later", due="2030-02-01")
    add("sooner", due="2030-01-01")
    assert show() == "  2. sooner (due 2030-01-01)\n  1. later (due 2030-02-01)"


def test_what_is_done_is_hidden_unless_asked_for():
    add("one")
    assert done(1) == "Nothing to do."
    assert show(all=True) == "x 1. one"


def test_a_day_that_is_none_is_refused():
    try:
        add("never", due="2030-02-30")
    except ValueError:
        assert show() == "Nothing to do."
    else:
        assert False
