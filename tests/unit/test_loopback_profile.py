"""The seccomp profile of nodes that train together, against the one of all other workers."""

import json

from haet_eval.runtimes.docker.container import loopback_profile
from haet_eval.runtimes.image_files import sandbox_folder

USUAL = (sandbox_folder() / "seccomp.json").read_text(encoding="utf-8")


def test_only_sockets_of_three_more_families_are_allowed() -> None:
    before, after = json.loads(USUAL), json.loads(loopback_profile(USUAL))
    assert after["defaultAction"] == before["defaultAction"] == "SCMP_ACT_ERRNO"
    gone = [rule for rule in before["syscalls"] if rule not in after["syscalls"]]
    new = [rule for rule in after["syscalls"] if rule not in before["syscalls"]]
    assert [(rule["names"], rule["action"]) for rule in gone] == [
        (["socket", "socketpair"], "SCMP_ACT_ERRNO")
    ]
    assert all(rule["names"] == ["socket"] for rule in new)
    conditions = [[(one["index"], one["value"]) for one in rule["args"]] for rule in new]
    assert conditions == [[(0, 2)], [(0, 10)], [(0, 16), (2, 0)]]
