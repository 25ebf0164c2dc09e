"""Make and use an environment of its own for the peers: LSDB and hats-import never share one with lsdb_ts."""

import fcntl
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
ACID_PINS = ("pyacid==0.6.1",)
ACID_OVERRIDE = "LSDB_TS_ACID_PYTHON"
"""The same for pyacid, which needs other versions of what the peers need; only the benchmarks use it."""
POLARS_PINS = ("polars==2.1.0", "healpix-geo>=0.4", "numpy>=2.3")
POLARS_OVERRIDE = "LSDB_TS_POLARS_PYTHON"
"""The same for polars; only the benchmarks use it."""
LIGHT_CURVE_PINS = {
    "light-curve": ("light-curve==0.13.3", "pyarrow>=20"),
    "feets": ("feets==1.0.1",),
    "cesium": ("cesium==0.12.4",),
    "periodograms": ("astropy==8.0.2", "nifty-ls==1.1.0", "finufft==2.5.1"),
    "cuperiod": ("cuperiod==1.2.0",),
}
"""The peers of features and periods, each in an environment of its own; only the benchmarks use them."""


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
    """Return the environment of LSDB and hats-import; make it where it is missing or its pins have changed."""
    return _environment(OVERRIDE, HOME, PINS)


def acid_environment() -> Peer:
    """Return the environment of pyacid, which lies in the folder of the peers' and goes with it."""
    return _environment(ACID_OVERRIDE, HOME / "acid", ACID_PINS)


def polars_environment() -> Peer:
    """Return the environment of polars, which lies in the folder of the peers' and goes with it."""
    return _environment(POLARS_OVERRIDE, HOME / "polars", POLARS_PINS)


def light_curve_environment(name: str) -> Peer:
    """Return an environment of ``LIGHT_CURVE_PINS``; its override is ``LSDB_TS_<NAME>_PYTHON``."""
    override = f"LSDB_TS_{name.upper().replace('-', '_')}_PYTHON"
    return _environment(override, HOME / name, LIGHT_CURVE_PINS[name])


def _environment(override: str, home: Path, pins: tuple[str, ...]) -> Peer:
    if os.environ.get(override):
        return Peer(Path(os.environ[override]))
    stamp, wanted = home / "pins", "\n".join([*pins, sys.version])
    python = home / "bin" / "python"
    with Path(__file__).open() as turn:
        # Several processes of tests may want it at the same time: the others wait for the first.
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            venv.create(home, clear=True, with_pip=True)
            quiet = ["--quiet", "--disable-pip-version-check"]
            subprocess.run([str(python), "-m", "pip", "install", *quiet, *pins], check=True)
            stamp.write_text(wanted)
    return Peer(python)
