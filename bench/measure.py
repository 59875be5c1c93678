#!/usr/bin/env python3
"""Measures peers one after another, each on a fresh control plane; bench/run builds what this starts.

usage: measure.py PEERS STEPS     results are merged into target/bench/results.json; empty means all
"""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import fleets
import lab as labs
import steps

# Step: what it does, who takes part, how often, and how its lab differs.
STEPS = {
    "size": (steps.size, "O,G,P", 1, None),
    "startup": (steps.startup, "O,G,P", 1, {}),
    "latency": (steps.latency, "O,G,P,floor", 1, {}),
    "burst": (steps.burst, "O,G,P,floor,floor+status", int(os.environ.get("BURSTS", "3")), {}),
    "burst100": (lambda lab, name: steps.burst(lab, name, "100ms"), "O,G,P,floor", 1, {}),
    "running": (steps.running, "O,G,P,floor,floor+status", 1, {}),
    "idle": (steps.idle, "O,G,P", 1, {}),
    "duplicates": (steps.duplicates, "O,G,P,G+lookup,P+lookup", 1, {}),
    "large": (steps.large, "O,G", 1, {}),
    "upgrade": (fleets.upgrade, "O", 1, {}),
    "tenants": (fleets.tenants, "O", 1, {"rate": 5}),
    "accounts": (fleets.accounts, "O", 1, {"accounts": 300, "rate": 5}),
    "schedules": (fleets.schedules, "O", 1, {}),
    "scale": (fleets.scale, "O", 1, {}),
    "rds": (fleets.rds, "O", 1, {"rate": 5}),
}
BOOK = labs.WORK / "results.json"


def said(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=labs.HERE).stdout.strip()
    except OSError:
        return ""


def machine():
    """What the figures depend on besides the peers."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) / (1 << 20)
    modules = (labs.HERE / "go/go.mod").read_text().split()
    packages = dict(line.split("==") for line in (labs.HERE / "python/requirements.txt").read_text().split())
    version = lambda module: modules[modules.index(module) + 1]
    return {
        "machine": f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, Linux {os.uname().release}",
        "Kubernetes": said(labs.CONTROL_PLANE / "kube-apiserver", "--version").split()[-1],
        "etcd": said(labs.CONTROL_PLANE / "etcd", "--version").splitlines()[0].split()[-1],
        "rustc": " ".join(said("rustc", "--version").split()[1:2]),
        "Go": " ".join(said("go", "version").split()[2:3]),
        "Python": sys.version.split()[0],
        "G": f"controller-runtime {version('sigs.k8s.io/controller-runtime')}, huaweicloud-sdk-go-v3 {version('github.com/huaweicloud/huaweicloud-sdk-go-v3')}",
        "P": ", ".join(f"{name} {number}" for name, number in packages.items()),
    }


def build():
    """What was measured: a commit, with a mark where the sources differ from it, or the beginning of the binary's digest if it is another one."""
    if os.environ.get("OPERATOR_IS_ANOTHER"):
        return "binary " + hashlib.sha256(pathlib.Path(labs.OPERATOR).read_bytes()).hexdigest()[:12]
    changed = said("git", "status", "--porcelain", "--", "../src", "../Cargo.toml", "../Cargo.lock")
    return said("git", "rev-parse", "--short", "HEAD") + (" and changes" if changed else "")


def is_there(name):
    """Whether a peer was built; bench/run says why one was not."""
    needs = {"O": labs.OPERATOR, "G": labs.BIN / "peer-go", "P": labs.WORK / "venv/bin/kopf"}
    return name.startswith("floor") or os.path.exists(needs[name[0]])


def turn(step, name):
    """One turn, with what others burnt of the machine meanwhile."""
    work, _, _, how = STEPS[step]
    if how is None:
        return work(None, name)
    with labs.Lab(name, **how) as lab:
        began, busy, own = time.time(), labs.machine_cpu_s(), labs.own_cpu_s()
        out = work(lab, name)
        out["turn_s"] = round(time.time() - began, 1)
        out["others_cpu_s"] = round(labs.machine_cpu_s() - busy - (labs.own_cpu_s() - own), 1)
        return out


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    names = [name for name in sys.argv[1].split(",") if name]
    chosen = [step for step in sys.argv[2].split(",") if step] or list(STEPS)
    if unknown := set(chosen) - set(STEPS):
        sys.exit(f"there are no steps {unknown}; there are {','.join(STEPS)}")
    book = json.loads(BOOK.read_text()) if BOOK.exists() else {}
    book["machine"] = machine()
    for step in chosen:
        _, peers, turns, _ = STEPS[step]
        taking_part = [name for name in peers.split(",") if is_there(name) and (not names or name in names)]
        results = {name: [] for name in taking_part}
        for _ in range(turns):
            for name in taking_part:  # peers take turns, so that noise falls on all of them
                results[name].append(turn(step, name))
                print(time.strftime("%H:%M:%S"), name, step, json.dumps(results[name][-1]), flush=True)
        for name in taking_part:
            of = {"date": time.strftime("%Y-%m-%d"), "turns": results[name], **({"build": build()} if name == "O" else {})}
            book.setdefault(name, {})[step] = of
        BOOK.write_text(json.dumps(book, indent=1))


if __name__ == "__main__":
    main()
