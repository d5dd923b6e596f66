"""A real SLURM with two nodes on this machine: one controller, two node daemons, munge."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel", "munged")
NODES = ("n1", "n2")
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
PAUSE = 5.0
"""Seconds in which SLURM can clear up after a job that was put back in line."""
ANSWER = 60
"""Seconds that any command of SLURM may take."""
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
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.waiting: dict[str, float] = {}
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
        self._daemon("munge", "munged", "--foreground", "--force", *files)
        wait_for(lambda: (munge / "socket").exists(), 60, "munge's socket")
        self._daemon("control", "slurmctld", "-D")
        self.make_whole()

    def _daemon(self, name: str, *command: str) -> None:
        with (self.folder / "daemons.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | self.environment
            )

    def make_whole(self) -> None:
        """No jobs, and both nodes idle, whatever became of them before."""
        self.wait_for(lambda: "is UP" in self.ask("scontrol", "ping").stdout, 60, "slurmctld")
        self.run("scancel", "--me")
        self.return_nodes()
        self.wait_for(lambda: not self.jobs(), 120, "the jobs to be gone")
        idle = ["idle"] * len(NODES)
        self.wait_for(lambda: [self.state(name) for name in NODES] == idle, 120, "idle nodes")

    def return_nodes(self) -> None:
        """Bring up those that are lost."""
        for name in NODES:
            if name not in self.daemons or self.daemons[name].poll() is not None:
                self._daemon(name, "slurmd", "-D", "-N", name)

        def up() -> bool:
            lost = [name for name in NODES if re.search(r"down|drain|\*", self.state(name))]
            for name in lost:  # refused until it has answered
                self.ask("scontrol", "update", f"nodename={name}", "state=resume")
            return not lost

        self.wait_for(up, 120, "the nodes to be up")

    def state(self, node: str) -> str:
        """Such as ``idle``; ``idle*`` if it does not answer."""
        (found,) = set(self.run("sinfo", "-h", "-n", node, "-o", "%T").split())
        return found

    def lose_node(self, name: str) -> None:
        """Everything that runs there is gone at once; then SLURM hears of it."""
        self.daemons[name].kill()
        self.daemons[name].wait()
        for pid in self.processes_on(name):
            os.kill(pid, signal.SIGKILL)
        self.run("scontrol", "update", f"nodename={name}", "state=down", "reason=lost")

    def processes_on(self, node: str) -> list[int]:
        """What users' jobs have started on a node, and before it what SLURM watches it with.

        That must die first: it would report that the job was killed, not that the node is lost.
        """
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            environment = _read(process / "environ").split(b"\0")
            ours = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode() in environment
            if ours and f"SLURMD_NODENAME={node}".encode() in environment:
                found.append(int(process.name))
        watching = {pid for one in found for pid in _ancestors(one) if _is_watcher(pid)}
        return [*watching, *(pid for pid in found if pid not in watching)]

    def run(self, *command: str) -> str:
        """What a command of SLURM says."""
        done = self.ask(*command)
        assert done.returncode == 0, (command, done.stderr, self.describe())
        return done.stdout

    def ask(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """The same, where SLURM may refuse or not answer."""
        environment = os.environ | self.environment
        bounded = ["timeout", str(ANSWER), *command]
        return subprocess.run(bounded, capture_output=True, text=True, env=environment)

    def jobs(self, state: str = "pending,running,completing") -> dict[str, str]:
        """The number of each job that waits, runs or is about to end, and its node."""
        listed = self.run("squeue", "--array", "-h", "-o", "%i %N", "-t", state)
        return {line.split(" ")[0]: line.split(" ")[1] for line in listed.splitlines()}

    def hurry(self) -> None:
        """SLURM holds back what was put back in line for two minutes; here for some seconds."""
        now, waiting = time.monotonic(), self.jobs("pending")
        self.waiting = {job: self.waiting.get(job, now) for job in waiting}
        for job in [job for job, since in self.waiting.items() if now - since > PAUSE]:
            self.ask("scontrol", "update", f"jobid={job}", "starttime=now")

    def wait_for(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Wait, but not for ever; if in vain, say how the cluster is."""
        try:
            wait_for(condition, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.describe()}") from None

    def describe(self) -> str:
        """Jobs, nodes, daemons that have died, and what the controller logged last."""
        parts = []
        for command in (["squeue", "--array", "--long"], ["sinfo", "-N", "--long"]):
            done = self.ask(*command)
            parts.append(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
        dead = [name for name, daemon in self.daemons.items() if daemon.poll() is not None]
        logged = _read(self.folder / "slurmctld.log").decode(errors="replace").splitlines()
        parts.append(f"daemons that have ended: {', '.join(dead) or 'none'}")
        return "\n".join([*parts, "slurmctld.log:", *logged[-20:]])

    def stop(self) -> None:
        for pid in [pid for node in NODES for pid in self.processes_on(node)]:
            os.kill(pid, signal.SIGKILL)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _read(path: Path) -> bytes:
    """What a file says; nothing if it is gone by now."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _ancestors(pid: int) -> Iterator[int]:
    """A process's parent, that one's parent, and so on."""
    while found := re.search(rb"\nPPid:\t(\d+)", _read(Path(f"/proc/{pid}/status"))):
        pid = int(found[1])
        yield pid


def _is_watcher(pid: int) -> bool:
    return _read(Path(f"/proc/{pid}/comm")).startswith(b"slurmstepd")


def wait_for(condition: Callable[[], object], seconds: float = 60, what: str = "it") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what} in vain"
        time.sleep(0.3)
