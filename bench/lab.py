"""A control plane and a cloud of its own for each measurement, and the processes that are measured. Linux only: figures are read from /proc."""

import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
WORK = HERE.parent / "target/bench"
BIN = WORK / "bin"
LOGS = WORK / "logs"
# What etcd, kube-apiserver and kubectl are in, and the operator: bench/run sets both.
CONTROL_PLANE = pathlib.Path(os.environ.get("CONTROL_PLANE", "."))
OPERATOR = os.environ.get("OPERATOR", str(HERE.parent / "target/release/database-backup-operator"))
HZ = os.sysconf("SC_CLK_TCK")
# All traffic stays on loopback, whatever proxy others are reached by.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"

# What the measured process asks of the API server.
AUDIT = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: [peer]}
- {level: None}
"""
TOKENS = 'admin-token,admin,admin,"system:masters"\npeer-token,peer,peer,"system:masters"\n'


def free_ports(count):
    """Held together, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def machine_cpu_s():
    """CPU seconds that all processes used since the machine's start."""
    fields = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / HZ


def own_cpu_s():
    """CPU seconds of this process and of all that it started."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system + sum(p.cpu_s() for p in Process.alive)


class Process:
    """One that runs in the background."""

    alive = []

    def __init__(self, name, command, env=None, cwd=None):
        LOGS.mkdir(parents=True, exist_ok=True)
        self.name, self.log = name, open(LOGS / f"{name}.log", "ab")
        self.started = time.time()
        self.p = subprocess.Popen(command, stdout=self.log, stderr=self.log, cwd=cwd, env={**os.environ, **(env or {})})
        Process.alive.append(self)

    def stop(self, sig=signal.SIGTERM):
        if self in Process.alive:
            Process.alive.remove(self)
        if self.p.poll() is None:
            self.p.send_signal(sig)
            try:
                self.p.wait(20)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
        self.log.close()

    def memory_mib(self, which="VmRSS"):
        """What it has in memory, or with VmHWM the most that it had."""
        for line in open(f"/proc/{self.p.pid}/status"):
            if line.startswith(which):
                return round(int(line.split()[1]) / 1024, 1)
        raise RuntimeError(f"{self.name} has ended: see {self.log.name}")

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.p.pid}/clear_refs").write_text("5")

    def cpu_s(self):
        fields = open(f"/proc/{self.p.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / HZ


class Lab:
    """etcd, kube-apiserver with a record of requests, the definitions and the cloud; all new, all gone afterwards."""

    def __init__(self, peer, accounts=0, rate=1000):
        self.name, self.own, self.accounts, self.rate = peer, peer in ("O", "floor+status"), accounts, rate
        self.etcd_port, self.etcd_peer_port, self.api_port, self.cloud_port, self.rds_port, self.listen_port = free_ports(6)
        self.api, self.cloud = f"https://127.0.0.1:{self.api_port}", f"http://127.0.0.1:{self.cloud_port}"
        self.dir = WORK / "lab"
        self.etcd = self.api_server = self.simulated = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for p in reversed(list(Process.alive)):
            p.stop()

    def start(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        for log in ("cloud", "etcd", "kube-apiserver", f"peer-{self.name}"):
            (LOGS / f"{log}.log").unlink(missing_ok=True)
        (self.dir / "tokens.csv").write_text(TOKENS)
        (self.dir / "audit.yaml").write_text(AUDIT)
        (self.dir / "sa.key").write_bytes(subprocess.run([BIN / "load", "key"], check=True, capture_output=True).stdout)
        self.simulated = Process("cloud", [BIN / "cloud", "-listen", f"127.0.0.1:{self.cloud_port}", "-rds", f"127.0.0.1:{self.rds_port}"])
        etcd, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.etcd_peer_port}"
        self.etcd = Process("etcd", [
            CONTROL_PLANE / "etcd", "--data-dir", "etcd", "--unsafe-no-fsync", "--log-level", "error", "--quota-backend-bytes", str(8 << 30),
            "--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"], cwd=self.dir)
        self.start_api_server()
        for user in ("admin", "peer"):
            self.write_kubeconfig(user)
        self.kubectl("apply", "-f", HERE.parent / "crds" if self.own else HERE / "crd.yaml")
        self.kubectl("wait", "--for=condition=Established", "crd", "--all")
        if self.own:
            names = [f"cloud-{i}" for i in range(self.accounts)] or ["cloud"]
            self.kubectl("create", "-f", "-", text="\n---\n".join(self.account(name) for name in names))
        time.sleep(2)  # the first requests to new definitions are slow
        return self

    def start_api_server(self, first=True):
        self.api_server = Process("kube-apiserver", [
            CONTROL_PLANE / "kube-apiserver", "--etcd-servers", f"http://127.0.0.1:{self.etcd_port}", "--cert-dir", "certs",
            "--secure-port", str(self.api_port), "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
            "--service-cluster-ip-range", "10.96.0.0/16",
            "--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
            "--service-account-key-file", "sa.key", "--service-account-signing-key-file", "sa.key",
            "--token-auth-file", "tokens.csv", "--authorization-mode", "RBAC", "--allow-privileged",
            # There is no controller that would give each namespace its `default` account.
            "--disable-admission-plugins", "ServiceAccount", "--endpoint-reconciler-type", "none",
            "--audit-policy-file", "audit.yaml", "--audit-log-path", "audit.log", "--audit-log-mode", "batch"], cwd=self.dir)
        # An API server that has much to read says that it is ready before it serves that. None of them has this label: a limit would not be heeded here.
        kinds = "/apis/dbbackup.dev/v1alpha1/databasebackups?labelSelector=load%3Dnone&resourceVersion=0"
        deadline = time.time() + 600
        while not (self.answers("/readyz") and (first or self.answers(kinds))):
            if time.time() > deadline or self.api_server.p.poll() is not None:
                raise RuntimeError(f"the API server does not get ready: see {self.api_server.log.name}")
            time.sleep(0.1)

    def answers(self, path):
        request = urllib.request.Request(f"{self.api}{path}", headers={"Authorization": "Bearer admin-token"})
        try:
            with urllib.request.urlopen(request, timeout=5, context=ssl._create_unverified_context()):
                return True
        except OSError:
            return False

    def restart_api_server(self):
        """Ends every watch, at a version that the new one does not have any more: something is written that no watch was told of."""
        self.kubectl("create", "configmap", f"something-{self.api_server.p.pid}")
        self.api_server.stop(signal.SIGKILL)
        self.start_api_server(first=False)

    def write_kubeconfig(self, user):
        authority = base64.b64encode((self.dir / "certs/apiserver.crt").read_bytes()).decode()
        (self.dir / user).write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {"server": self.api, "certificate-authority-data": authority}}],
            "users": [{"name": user, "user": {"token": f"{user}-token"}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user, "namespace": "default"}}]}))

    def kubectl(self, *args, text=None):
        command = [CONTROL_PLANE / "kubectl", "--kubeconfig", self.dir / "admin", *args]
        r = subprocess.run(command, input=text, capture_output=True, text=True)
        if r.returncode:
            raise RuntimeError(f"kubectl {args[0]}: {r.stderr}")
        return r.stdout

    def account(self, name):
        """The rate is opened for most steps, since the peers have none."""
        return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"},
                           "stringData": {"accessKey": f"AK-{name}", "secretKey": "SK"}}) + "\n---\n" + json.dumps({
            "apiVersion": "dbbackup.dev/v1alpha1", "kind": "ClusterCloudAccount", "metadata": {"name": name}, "spec": {
                "cloud": "OpenTelekomCloud", "region": "eu-de", "credentials": {"accessKeySecretRef": {"name": name}},
                "allowedNamespaces": {"from": "All"}, "maxRequestsPerSecond": self.rate,
                "endpoints": {"iam": self.cloud, "taurusdb": self.cloud, "rds": f"http://127.0.0.1:{self.rds_port}"}}})

    def peer(self, name):
        kopf = [str(WORK / "venv/bin/kopf"), "run", "--standalone", "-A", str(HERE / "python/peer.py")]
        go = [str(BIN / "peer-go"), "-endpoint", self.cloud, "-metrics", f"127.0.0.1:{self.listen_port}"]
        command, env = {
            "O": ([OPERATOR, "run", "--leader-elect=false", "--allow-insecure-endpoints", f"--listen=127.0.0.1:{self.listen_port}",
                   "--cluster-resource-namespace=default"], {}),
            "G": (go, {}),
            "G+lookup": ([*go, "-lookup"], {}),
            "P": (kopf, {"PEER_ENDPOINT": self.cloud}),
            "P+lookup": (kopf, {"PEER_ENDPOINT": self.cloud, "PEER_LOOKUP": "1"}),
        }[name]
        return Process(f"peer-{name}", command, {**env, "KUBECONFIG": str(self.dir / "peer")})

    def load(self, what, **flags):
        """Runs the loader. `lab_cpu_s` is what it, the API server, etcd and the cloud used meanwhile."""
        def spent():
            t = os.times()
            return sum(p.cpu_s() for p in (self.api_server, self.etcd, self.simulated)) + t.children_user + t.children_system

        flags = {"api": self.api, "cloud": self.cloud, **({"account": "cloud", "accounts": self.accounts} if self.own else {}), **flags}
        before = spent()
        r = subprocess.run([BIN / "load", what, *(f"-{k}={v}" for k, v in flags.items())], capture_output=True, text=True)
        if r.returncode:
            raise RuntimeError(f"load {what}: {r.stderr}")
        return {**json.loads(r.stdout), "lab_cpu_s": round(spent() - before, 1)}

    def ask_cloud(self, path, method="GET"):
        with urllib.request.urlopen(urllib.request.Request(f"{self.cloud}/_admin/{path}", method=method), timeout=900) as answer:
            return answer.read()

    def set_cloud(self, **what):
        self.ask_cloud("set?" + "&".join(f"{k}={v}" for k, v in what.items()), "POST")

    def calls(self):
        return json.loads(self.ask_cloud("stats"))

    def mark(self):
        """A place in the record of requests."""
        return (self.dir / "audit.log").stat().st_size if (self.dir / "audit.log").exists() else 0

    def listed(self, since):
        """Whether the peer has begun to list the objects, by pages or as the beginning of a watch. An operator may ask for one, to see that it can."""
        with open(self.dir / "audit.log") as record:
            record.seek(since)
            return any('"resource":"databasebackups"' in line and '"code":200' in line and "limit=1\"" not in line
                       and ('"verb":"list"' in line or "sendInitialEvents=true" in line) for line in record)

    def requests(self, since=0, without=None):
        """What the peer asked of the API server: writes by kind, and the other requests by verb. `without` is the prefix of objects that do not count."""
        time.sleep(2)  # until it is all on record
        writes, others = {}, {}
        with open(self.dir / "audit.log") as record:
            record.seek(since)
            for line in record:
                e = json.loads(line)
                ref, verb = e.get("objectRef", {}), e["verb"]
                # A watch is on record when it begins and when it ends.
                if (verb == "watch" and e["stage"] != "ResponseStarted") or (without and ref.get("name", "").startswith(without)):
                    continue
                if verb not in ("create", "update", "patch", "delete"):
                    others[verb] = others.get(verb, 0) + 1
                elif ref.get("resource") not in ("selfsubjectaccessreviews", "selfsubjectrulesreviews"):
                    of = ref.get("resource", "")
                    kind = "events" if of == "events" else "accounts" if of.endswith("accounts") else "conflicts" if e["responseStatus"]["code"] == 409 \
                        else "status" if ref.get("subresource") == "status" else "objects"
                    writes[kind] = writes.get(kind, 0) + 1
        return {"writes": writes, "requests": others}
