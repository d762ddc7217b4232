"""The judges of the self-test's attacks: only an attack that was over proves anything."""

import pytest

from haet_eval.runtimes.interface import Exit
from haet_eval.selftest import ATTACKS, LIMITS, AttackOutcome

BREACH = {attack.name: attack.breach for attack in ATTACKS}
KILLED = Exit(None, 9, out_of_memory=True)
FULL = (f"/tmp {LIMITS.tmp_bytes}", f"/dev/shm {LIMITS.shm_bytes}")


@pytest.mark.parametrize("name", BREACH)
@pytest.mark.parametrize(
    "said", [(), ("/tmp",), ("/tmp 8",), ("refused",), ("see a network inter",), (*FULL, "don")]
)
def test_an_attack_that_died_before_its_end_proves_nothing(name: str, said: tuple[str, ...]) -> None:
    outcome = AttackOutcome(said, Exit(1, None), processes_exhausted=True)
    assert BREACH[name](outcome) == "the attack ended before it was over"


@pytest.mark.parametrize("name", BREACH)
def test_a_safe_machine_holds_every_attack(name: str) -> None:
    said = {"fork bomb": ("refused", "done"), "memory bomb": (), "temporary files": (*FULL, "done")}
    end = KILLED if name == "memory bomb" else Exit(0, None)
    assert BREACH[name](AttackOutcome(said.get(name, ("done",)), end, processes_exhausted=True)) == ""


@pytest.mark.parametrize(
    ("name", "outcome", "told"),
    [
        (
            "network",
            AttackOutcome(("resolve a name", "done"), Exit(0, None), False),
            "it could resolve a name",
        ),
        (
            "temporary files",
            AttackOutcome((FULL[0], "/dev/shm 99999999", "done"), Exit(0, None), False),
            "shm",
        ),
        ("fork bomb", AttackOutcome(("done",), Exit(0, None), False), "started 32 processes and more"),
        ("fork bomb", AttackOutcome(("refused", "done"), Exit(0, None), False), "does not report"),
        ("memory bomb", AttackOutcome(("done",), Exit(0, None), False), "went on"),
        ("memory bomb", AttackOutcome((), None, False), "went on"),
        ("memory bomb", AttackOutcome((), Exit(None, 9), False), "does not say for what"),
    ],
)
def test_what_an_unsafe_machine_lets_happen_is_named(name: str, outcome: AttackOutcome, told: str) -> None:
    assert told in BREACH[name](outcome)
