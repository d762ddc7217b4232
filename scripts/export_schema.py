"""Write the JSON schemas of records and competition files to haet_eval/resources."""

import json
from pathlib import Path

from haet_eval.competition import schema_text
from haet_eval.record import json_schema

RESOURCES = Path(__file__).parents[1] / "haet_eval" / "resources"

if __name__ == "__main__":
    (RESOURCES / "record.schema.json").write_text(json.dumps(json_schema(), indent=2) + "\n")
    (RESOURCES / "competition.schema.json").write_text(schema_text())
