"""What is measured of many: objects, accounts, schedules, tenants."""

import os
import signal
import time

from steps import MANY, begin, catch_up, pattern, seed, start_settled, until_calm

SIZES = [int(size) for size in os.environ.get("SIZES", "1000,10000,50000,100000").split(",")]


def scale(lab, name):
    """More and more settled objects beside a thousand running ones; with the most of them, an API server that forgets, and a kill at the worst moment."""
    like = pattern(lab, name)
    lab.set_cloud(building="10h")
    peer = lab.peer(name)
    lab.load("apply", n=MANY, prefix="r")
    lab.load("wait", n=MANY, prefix="r", **{"for": "ids"}, timeout="6m")
    time.sleep(2)
    peer.stop()
    sizes, there = {}, 0
    for size in SIZES:
        seeded = seed(lab, like, size - there, start=there)
        there, last = size, size == SIZES[-1]
        row = start_settled(lab, name, stop=not last)
        if last:
            row, peer = row
        sizes[str(size)] = {"seed_s": round(seeded), **row}
        print(f"  {size}: {sizes[str(size)]}", flush=True)
    relisted = relist(lab, peer)
    print(f"  {relisted}", flush=True)
    lab.set_cloud(building="0s")
    peer.stop(signal.SIGKILL)
    return {"sizes": sizes, "relist": relisted, "kill": catch_up(lab, name, "r")}


def relist(lab, peer):
    """The API server no longer has the version that the watch is at, so everything has to be listed again."""
    steady, mark = peer.memory_mib(), lab.mark()
    peer.forget_peak()
    cpu = peer.cpu_s()
    lab.restart_api_server()
    ready = time.time()
    while not lab.listed(mark):
        if time.time() - ready > 600:
            raise RuntimeError("nothing was listed anew after the restart of the API server")
        time.sleep(0.2)
    listing = time.time() - ready
    calm = until_calm(peer, ready)
    return {"steady_mib": steady, "peak_mib": peer.memory_mib("VmHWM"), "after_mib": peer.memory_mib(), "ready_to_listing_s": round(listing, 1),
            "ready_to_calm_s": calm, "cpu_s": round(peer.cpu_s() - cpu, 2), **lab.requests(mark)}


def upgrade(lab, name):
    """Settled objects whose messages an earlier version worded otherwise."""
    seed(lab, pattern(lab, name), int(os.environ.get("IDLE", "10000")), reword=True)
    return start_settled(lab, name)


def accounts(lab, name):
    """A thousand running backups, spread over 300 accounts."""
    lab.set_cloud(building="10h")
    peer = lab.peer(name)
    # `kubectl wait` asks for one after the other, at a rate of its own.
    ready, deadline = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}", time.time() + 300
    while lab.kubectl("get", "ccacct", "-o", ready).split() != ["True"] * lab.accounts:
        if time.time() > deadline:
            raise RuntimeError(f"not all accounts get ready: see {peer.log.name}")
    out = {"all_ready_s": round(time.time() - peer.started, 1)}
    mark = lab.mark()
    burst = time.time()
    lab.load("apply", n=MANY, prefix="r")
    lab.load("wait", n=MANY, prefix="r", **{"for": "ids"}, timeout="6m")
    out["ids_s"] = round(time.time() - burst, 1)
    time.sleep(20)
    out["burst_writes"] = lab.requests(mark)["writes"]
    calls, cpu, mark = lab.calls(), peer.cpu_s(), lab.mark()
    time.sleep(60)
    out["lists_a_minute"] = lab.calls()["list"] - calls["list"]
    out["cpu_a_minute_s"] = round(peer.cpu_s() - cpu, 2)
    out["rss_mib"] = peer.memory_mib()
    out["minute"] = lab.requests(mark)
    peer.stop()
    return {**out, "restart": start_settled(lab, name)}


SCHEDULE = """apiVersion: dbbackup.dev/v1alpha1
kind: DatabaseBackupSchedule
metadata: {{name: {name}}}
spec:
  schedule: "{when}"
  retention: {{maxCount: 100}}
  backupTemplate:
    spec: {{accountRef: {{kind: ClusterCloudAccount, name: cloud}}, source: {{engine: TaurusDB, instanceId: inst-{name}}}}}
"""


def schedules(lab, name):
    """A hundred schedules that have a hundred settled backups each."""
    count, children = int(os.environ.get("SCHEDULES", "100")), 100
    lab.set_cloud(building="0s")
    peer = lab.peer(name)
    lab.kubectl("apply", "-f", "-", text=SCHEDULE.format(name="pattern", when="* * * * *"))
    like, deadline = "", time.time() + 150
    while not like:
        if time.time() > deadline:
            raise RuntimeError(f"no slot of a schedule was taken: see {peer.log.name}")
        time.sleep(1)
        like = lab.kubectl("get", "databasebackups", "--field-selector=status.phase=Completed", "-o", "jsonpath={.items[0].metadata.name}",
                           "--ignore-not-found") if lab.calls()["create"] else ""
    lab.kubectl("delete", "databasebackupschedules", "pattern")
    time.sleep(2)
    peer.stop()
    yearly = "---\n".join(SCHEDULE.format(name=f"i-{i}", when="0 0 1 1 *") for i in range(count))
    lab.kubectl("create", "-f", "-", text=yearly)
    seeded = lab.load("seed", n=count * children, prefix="i", like=like, children=children, workers=32)["seed_s"]
    # The first start writes what each schedule is at.
    first = start_settled(lab, name)
    return {"seed_s": round(seeded), "first": first, **start_settled(lab, name)}


def tenants(lab, name):
    """One backup at a time beside hundreds of another namespace's, whose instances nobody knows, with one account at the default rate."""
    peer = lab.peer(name)
    lab.kubectl("create", "namespace", "noisy")
    lab.kubectl("wait", "--for=condition=Ready", "ccacct", "--all", "--timeout=60s")
    lab.load("apply", n=600, prefix="noise", namespace="noisy", instance="unknown")
    out = lab.load("latency", n=50, prefix="quiet", pause="500ms")
    out["rss_mib"], out["peak_mib"] = peer.memory_mib(), peer.memory_mib("VmHWM")
    peer.stop()
    return out


def rds(lab, name):
    """RDS allows each user 60 calls a minute and lists by instance: how late the end of 200 backups is noticed, at the default rate."""
    lab.set_cloud(building="60m")
    peer = lab.peer(name)
    lab.kubectl("wait", "--for=condition=Ready", "ccacct", "--all", "--timeout=60s")
    lab.load("apply", n=200, prefix="q", engine="RDS")
    asked = lab.load("wait", n=200, prefix="q", **{"for": "ids"}, timeout="20m")
    time.sleep(420)  # every one of them has been looked at at least once
    lab.set_cloud(building="0s")
    noticed = lab.load("wait", n=200, prefix="q", timeout="20m")
    peer.stop()
    keys = ("first_s", "p50_s", "p98_s", "last_s", "ok")
    return {"running": {k: asked[k] for k in keys}, "noticed": {k: noticed[k] for k in keys}, **lab.calls()}
