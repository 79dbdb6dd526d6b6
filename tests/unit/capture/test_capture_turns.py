"""Two threads that take turns: every item once, in order, one at a time, whatever either of them takes or raises."""

import threading

import pytest

from netdiag.capture.turns import in_turns


class Stop(BaseException):
    """Not an Exception, as an interruption is none."""


def test_items_are_used_in_order_one_at_a_time():
    used, busy, before = [], threading.Lock(), []

    def source():
        yield from ((number, threading.get_ident()) for number in range(400))

    def use(item):
        number, maker = item
        assert maker == threading.get_ident()
        assert maker in before
        alone = busy.acquire(blocking=False)
        assert alone
        used.append(number)
        busy.release()

    in_turns(source(), use, before=lambda: before.append(threading.get_ident()))

    assert used == list(range(400))
    assert len(set(before)) == 2


def test_one_is_made_while_the_other_is_used():
    """Each waits for the other, so that one alone would wait for ever."""
    made, used = threading.Event(), threading.Event()

    def source():
        yield "first"
        made.set()
        assert used.wait(10)
        yield "second"

    def use(item):
        if item == "first":
            assert made.wait(10)
            used.set()

    in_turns(source(), use, before=lambda: None)


def test_nothing_to_do():
    in_turns([], lambda item: pytest.fail("there is none"), before=lambda: None)


@pytest.mark.parametrize("error", [ValueError("bad"), Stop()])
@pytest.mark.parametrize("place", [0, 1, 5])
def test_an_error_of_the_source_comes_after_the_items_before_it(error, place):
    used = []

    def source():
        yield from range(place)
        raise error

    with pytest.raises(type(error)):
        in_turns(source(), used.append, before=lambda: None)
    assert used == list(range(place))


@pytest.mark.parametrize("error", [ValueError("bad"), Stop()])
@pytest.mark.parametrize("place", [0, 1, 5])
def test_an_error_of_a_use_ends_it(error, place):
    made, used, following = [], [], threading.Event()

    def source():
        for number in range(1_000):
            made.append(number)
            if number > place:
                following.set()
            yield number

    def use(number):
        used.append(number)
        if number == place:
            assert following.wait(10)  # which is not used any more
            raise error

    with pytest.raises(type(error)):
        in_turns(source(), use, before=lambda: None)
    assert used == list(range(place + 1))
    assert len(made) <= place + 3
    assert not [thread for thread in threading.enumerate() if thread.name == "netdiag-turns"]
