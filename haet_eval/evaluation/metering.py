"""What an evaluation is to measure the energy of, and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from haet_eval.competition import Ranking
from haet_eval.energy.choice import Choice
from haet_eval.record import EnergyPhase

PHASE_OF_RANKING: Final[Mapping[str, EnergyPhase]] = {
    "training_energy": "train",
    "inference_energy": "predict",
}


@dataclass(frozen=True, slots=True)
class Metering:
    """How energy is measured. `choice` None stands for `auto` where energy is ranked, else for not at all."""

    choice: Choice | None = None
    cpu_watts: float | None = None

    def meters(self, ranking: Ranking) -> Choice | None:
        """Those of a run under rules that rank by this."""
        return self.choice or ("auto" if ranking in PHASE_OF_RANKING else None)


AS_RANKED: Final = Metering()
