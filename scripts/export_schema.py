"""Write the JSON schema of records to haet_eval/resources/record.schema.json."""

import json
from pathlib import Path

from haet_eval.record import json_schema

TARGET = Path(__file__).parents[1] / "haet_eval" / "resources" / "record.schema.json"

if __name__ == "__main__":
    TARGET.write_text(json.dumps(json_schema(), indent=2) + "\n")
