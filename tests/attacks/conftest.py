"""What several attacks are compared with."""

import pytest

from tests.attacks.evaluating import Attack, evaluate_attack


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Attack:
    """The training that the attacks pretend to be."""
    return evaluate_attack("honest_training", tmp_path_factory.mktemp("honest"))
