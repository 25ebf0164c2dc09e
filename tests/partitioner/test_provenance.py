"""A repartition can say which files it was made of, with which hash, and what became of their rows."""

import json

from lsdb_ts.store.files import located
from lsdb_ts.store.provenance import Input
from partitioner import plan, run
from partitioner.running.provenance import provenance_of


def test_every_input_is_told_with_its_table_rows_size_and_hash(raw, tmp_path):
    account = run(raw.survey, tmp_path / "out")
    told = json.loads(json.dumps(provenance_of(plan(raw.survey, tmp_path / "out"), account).to_json(), default=str))
    files = sorted(str(p) for p in raw.folder.glob("*.parquet"))
    assert sorted(found["path"] for found in told["inputs"]) == files
    assert told["input_files"] == len(files)
    for found in told["inputs"]:
        expected = Input.of(located(found["path"]))
        assert (found["hash"], found["hash_of"], found["size"]) == (expected.hash, "footer", expected.size)
    rows = {name: sum(f["rows"] for f in told["inputs"] if f["table"] == name) for name in ("object", "source")}
    assert rows == {"object": raw.objects.num_rows, "source": raw.sources.num_rows}
    assert told["parameters"]["tables"]["object"]["max_rows"] == 15
    assert "files" not in told["parameters"]["tables"]["object"]
    assert {t["table"] for t in told["account"]["tables"]} == {"object", "source", "forced_source"}
