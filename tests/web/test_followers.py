from __future__ import annotations

from contextlib import ExitStack

import pytest

from harness.office import person
from lockgate.web.followers import MOST, MOST_OF_ONE, Followers
from lockgate.web.problem import Problem


def test_of_one() -> None:
    followers = Followers()
    with ExitStack() as stack:
        for _ in range(MOST_OF_ONE):
            stack.enter_context(followers.one_more(person("fiona")))
        with pytest.raises(Problem) as refused, followers.one_more(person("fiona")):
            pytest.fail("one too many")
        assert refused.value.status_code == 429
        with followers.one_more(person("fiona", issuer="https://other.example")):
            pass
    with followers.one_more(person("fiona")):
        pass


def test_in_all() -> None:
    followers = Followers()
    with ExitStack() as stack:
        for number in range(MOST):
            stack.enter_context(followers.one_more(person(f"fiona-{number}")))
        with pytest.raises(Problem) as refused, followers.one_more(person("george")):
            pytest.fail("one too many")
        assert refused.value.status_code == 503
