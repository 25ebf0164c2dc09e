"""A Slurm job array is the engine: each task does a slice of a stage, and the catalog is that of a local run."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from partitioner import finish, run, status, task
from tests.partitioner.runs import copied, digest, small_plan

ROOT = Path(__file__).parents[2]
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")
BY_ARRAY = ("shard", "gather")
"""Stages that are done by job arrays; between them the others are done here."""
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(n):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The environment of commands that talk to a Slurm of this machine alone, started for the test."""
    if os.geteuid() or not all(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in NEEDED):
        pytest.skip("needs Slurm and munge, and to be root: apt-get install slurm-wlm munge")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    config = folder / "slurm.conf"
    host = os.uname().nodename.partition(".")[0]
    config.write_text(CONFIG.format(host=host, ports=free_ports(2), folder=folder))
    environment = {**os.environ, "SLURM_CONF": str(config), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    told = [f"--{what}-file={folder}/munge.{what}" for what in ("pid", "log", "seed", "key")]
    commands = (
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *told],
        ["slurmctld", "-D", "-f", str(config)],
        ["slurmd", "-D", "-f", str(config)],
    )
    running = []
    try:
        for command in commands:
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            running.append(subprocess.Popen(command, env=environment, **quiet))
            time.sleep(0.3)
        for _ in range(300):
            found = subprocess.run(["sinfo", "-h", "-o", "%t"], env=environment, capture_output=True, text=True)
            if found.stdout.strip() in {"idle", "mix"}:
                break
            if any(process.poll() is not None for process in running):
                pytest.skip("Slurm does not start on this machine")
            time.sleep(0.1)
        else:
            pytest.skip(f"Slurm does not get ready on this machine: {found.stdout}{found.stderr}")
        yield environment
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(timeout=30)


def test_job_arrays_make_the_bytes_of_a_local_run(raw, slurm, tmp_path):
    stored = small_plan(raw.survey, tmp_path / "stored")
    local, out = copied(stored, tmp_path / "local"), copied(stored, tmp_path / "out")
    run(local)
    for stage in [s.name for s in status(out).stages]:
        if stage not in BY_ARRAY:
            task(out, stage, share=(0, 1))
            continue
        command = f'{sys.executable} -m lsdb_ts.cli task {out} {stage} --slice "$SLURM_ARRAY_TASK_ID/4"'
        array = ["--array=0-3", "--export=ALL", f"--chdir={ROOT}", f"--output={tmp_path}/{stage}-%a.log"]
        job = ["sbatch", "--wait", *array, f"--wrap={command}"]
        done = subprocess.run(job, env=slurm, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, "".join(p.read_text() for p in sorted(tmp_path.glob("*.log"))) + done.stderr

    assert all(s.done == s.pieces for s in status(out).stages)
    assert all((tmp_path / f"{stage}-{i}.log").exists() for stage in BY_ARRAY for i in range(4))
    finish(out)
    assert digest(out) == digest(local)
