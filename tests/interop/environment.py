"""Make and use an environment of its own for the peers: LSDB and hats-import never share one with lsdb_ts."""

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv-peers"
PINS = ("lsdb==0.11.1", "hats==0.11.1", "hats-import==0.11.1")
OVERRIDE = "LSDB_TS_PEER_PYTHON"
"""Environment variable: the interpreter of a ready environment with these versions."""


@dataclass(frozen=True)
class Peer:
    """The interpreter of the peers' environment."""

    python: Path

    def run(self, *jobs: dict) -> list[dict]:
        """Carry out jobs of `peer.py`, in order, in one process; return their reports."""
        done = subprocess.run(
            [str(self.python), str(Path(__file__).with_name("peer.py"))],
            input=json.dumps(jobs),
            capture_output=True,
            text=True,
            env={k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONWARNINGS", "VIRTUAL_ENV"}},
        )
        if done.returncode:
            raise RuntimeError(f"the peers' environment failed:\n{done.stderr[-6000:]}")
        return json.loads(done.stdout.splitlines()[-1])


def peer_environment() -> Peer:
    """Return the peers' environment; make it where it is missing or its pins have changed."""
    if os.environ.get(OVERRIDE):
        return Peer(Path(os.environ[OVERRIDE]))
    stamp, wanted = HOME / "pins", "\n".join([*PINS, sys.version])
    python = HOME / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(HOME, clear=True, with_pip=True)
        quiet = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([str(python), "-m", "pip", "install", *quiet, *PINS], check=True)
        stamp.write_text(wanted)
    return Peer(python)
