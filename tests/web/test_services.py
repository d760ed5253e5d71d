from __future__ import annotations

from dataclasses import replace

import pytest

from harness.office import BIG, person
from harness.scene import People, Scene
from lockgate.errors import TokenRejected, VoteRefused
from lockgate.web.problem import Problem
from lockgate.web.services import BURST, Services
from lockgate.web.sign_in import SignIns


@pytest.fixture
def services(scene: Scene) -> Services:
    async def secret(_: object) -> str:
        return "hush"

    sign_ins = SignIns(lambda: scene.config, tuple, secret, lambda: 0.0)
    return Services(scene.office.desk, lambda: scene.config, scene.people.verify, scene.recent.of, sign_ins)


async def test_identifies(services: Services) -> None:
    found = await services.approver("fiona.finance", "127.0.0.1", on_this_machine=True)
    assert (found.subject, found.roles) == ("fiona", ("finance",))


async def test_failures_are_counted_by_address(services: Services) -> None:
    for _ in range(BURST):
        with pytest.raises(TokenRejected):
            await services.approver("nobody", "192.0.2.1", on_this_machine=False)
    with pytest.raises(Problem) as refused:
        await services.approver("fiona.finance", "192.0.2.1", on_this_machine=False)
    assert refused.value.status_code == 429
    assert (await services.approver("fiona.finance", "192.0.2.2", on_this_machine=False)).subject == "fiona"
    assert (await services.approver("fiona.finance", "192.0.2.1", on_this_machine=False)).subject == "fiona"


async def test_what_is_known_is_forgotten_once_it_is_not_taken(scene: Scene, services: Services) -> None:
    await services.approver("fiona.finance", "192.0.2.1", on_this_machine=False)
    people: People = scene.people
    people.rejected.add("fiona.finance")
    for _ in range(BURST):
        with pytest.raises(TokenRejected):
            await services.approver("fiona.finance", "192.0.2.1", on_this_machine=False)
    with pytest.raises(Problem):
        await services.approver("fiona.finance", "192.0.2.1", on_this_machine=False)


async def test_others_approvals_are_not_there(scene: Scene, services: Services) -> None:
    mine = await scene.hold()
    await scene.hold("held-2", holds=(replace(BIG, approvers=("sales",)),))
    assert services.approvals(person()) == [mine]
    assert services.approval("held-1", person()) == mine
    for approval_id in ("held-2", "held-3"):
        with pytest.raises(VoteRefused) as refused:
            services.approval(approval_id, person())
        assert (refused.value.status, str(refused.value)) == (404, "There is no such approval.")
