"""A real SLURM with two nodes on this machine: one controller, two node daemons, munge."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel", "munged")
MISSING = "SLURM IS NOT TESTED: as root, apt-get install --no-install-recommends slurm-wlm munge"

CONF = """
ClusterName=oodbench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MpiDefault=none
ReturnToService=2
JobRequeue=1
GresTypes=gpu
SlurmctldTimeout=60
SlurmdTimeout=60
KillWait=8
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=4000 Gres=gpu:2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=4000 Gres=gpu:2
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE PriorityTier=1
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE PriorityTier=10
"""
GRES = """
NodeName=n1 Name=gpu File=/dev/tty[0-1]
NodeName=n2 Name=gpu File=/dev/tty[2-3]
"""


def is_possible() -> bool:
    return os.geteuid() == 0 and all(shutil.which(name) for name in PROGRAMS)


class Cluster:
    """Nodes ``n1`` and ``n2`` with two cores and two make-believe GPUs each.

    Args:
        folder: An empty folder for its files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        sockets = [socket.socket() for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            one.close()
        host = socket.gethostname().partition(".")[0]
        for name in ("state", "munge", "spool-n1", "spool-n2"):
            (folder / name).mkdir()
        (folder / "munge").chmod(0o755)
        (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, ports=ports))
        (folder / "gres.conf").write_text(GRES)

    def start(self) -> None:
        """Start all daemons, and wait until both nodes are idle."""
        munge = self.folder / "munge"
        (munge / "key").write_bytes(os.urandom(128))
        (munge / "key").chmod(0o600)
        files = [f"--{n}={munge}/{n.removesuffix('-file')}" for n in ("key-file", "socket")]
        files += [f"--{n}={munge}/{n}" for n in ("pid-file", "log-file", "seed-file")]
        self._daemon("munged", "--foreground", "--force", *files)
        wait_for(lambda: (munge / "socket").exists())
        self._daemon("slurmctld", "-D")
        self.start_node("n1")
        self.start_node("n2")
        wait_for(lambda: self.run("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * 4, 90)

    def _daemon(self, *command: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "daemons.log").open("ab") as log:
            daemon = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | self.environment
            )
        self.daemons.append(daemon)
        return daemon

    def start_node(self, name: str) -> None:
        self.nodes[name] = self._daemon("slurmd", "-D", "-N", name)

    def lose_node(self, name: str) -> None:
        """Everything that runs there is gone at once, its daemon too; then SLURM hears of it."""
        self.nodes[name].kill()
        for pid in self.processes_on(name):
            os.kill(pid, signal.SIGKILL)
        self.run("scontrol", "update", f"nodename={name}", "state=down", "reason=lost")

    def return_node(self, name: str) -> None:
        self.start_node(name)
        time.sleep(2)
        self.run("scontrol", "update", f"nodename={name}", "state=resume")

    def processes_on(self, node: str) -> list[int]:
        """What users' jobs have started on a node."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            ours = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode() in environment
            if ours and f"SLURMD_NODENAME={node}".encode() in environment:
                found.append(int(process.name))
        return found

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | self.environment
        )
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def jobs(self, state: str = "pending,running,completing") -> dict[str, str]:
        """The number of each job that waits, runs or is about to end, and its node."""
        listed = self.run("squeue", "--array", "-h", "-o", "%i %N", "-t", state)
        return {line.split(" ")[0]: line.split(" ")[1] for line in listed.splitlines()}

    def hurry(self) -> None:
        """SLURM holds back what was put back in line for two minutes; not here."""
        for job in self.jobs("pending"):
            subprocess.run(
                ["scontrol", "update", f"jobid={job}", "starttime=now"],
                env=os.environ | self.environment,
                capture_output=True,
            )

    def stop(self) -> None:
        for node in self.nodes:
            for pid in self.processes_on(node):
                os.kill(pid, signal.SIGKILL)
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()


def wait_for(condition: Callable[[], object], seconds: float = 60, what: str = "it") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what} in vain"
        time.sleep(0.3)
