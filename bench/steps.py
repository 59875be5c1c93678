"""What is measured of every peer, one process at a time."""

import os
import random
import signal
import time
import urllib.request

import lab as labs

MANY = 1000


def begin(lab, name):
    """Starts the peer with one object waiting, and comes back when its create call is there: (process, seconds, prefix of the object)."""
    prefix = f"s{random.randrange(1 << 30):08x}"
    lab.load("apply", n=1, prefix=prefix)
    peer = lab.peer(name)
    at = int(lab.ask_cloud(f"wait?name=dbb-{prefix}-00000")) / 1e9
    return peer, round(at - peer.started, 3), prefix


def until_calm(peer, since, patience=900):
    """Seconds from `since` until five seconds passed in which the process used less than a twentieth of a core; absent where that never came."""
    seen = [(time.time(), peer.cpu_s())]
    while seen[-1][0] - since < patience:
        time.sleep(0.1)
        now = (time.time(), peer.cpu_s())
        seen.append(now)
        while now[0] - seen[0][0] > 5:
            if now[1] - seen[0][1] < 0.25:
                return round(seen[0][0] - since, 1)
            seen.pop(0)
    return None


def start_settled(lab, name, stop=True):
    """A start with objects for which there is nothing to do: until calm, and a minute of calm. What is asked for the one new object does not count."""
    mark, calls = lab.mark(), lab.calls()
    peer, first, prefix = begin(lab, name)
    out = {"first_call_s": first, "calm_s": until_calm(peer, peer.started), "cpu_to_calm_s": round(peer.cpu_s(), 2)}
    time.sleep(5)
    cpu = peer.cpu_s()
    time.sleep(60)
    out["cpu_60s_idle_s"] = round(peer.cpu_s() - cpu, 2)
    out["rss_mib"], out["peak_mib"] = peer.memory_mib(), peer.memory_mib("VmHWM")
    now = lab.calls()
    out["cloud_lists"], out["create"] = now["list"] - calls["list"], now["create"] - calls["create"]
    out.update(lab.requests(mark, without=prefix))
    if stop:
        peer.stop()
    return out if stop else (out, peer)


def pattern(lab, name):
    """The name of an object that the peer has settled, to seed others in its likeness."""
    lab.set_cloud(building="0s")
    peer = lab.peer(name)
    lab.load("apply", n=1, prefix="pattern")
    if not lab.load("wait", n=1, prefix="pattern", timeout="3m")["ok"]:
        raise RuntimeError(f"{name} does not settle an object: see {peer.log.name}")
    time.sleep(2)
    peer.stop()
    lab.set_cloud(building="20s")
    return "pattern-00000"


def seed(lab, like, n, start=0, **flags):
    lab.ask_cloud(f"seed?n={n}&from={start}&prefix=i&age=3h", "POST")
    return lab.load("seed", n=n, **{"from": start}, prefix="i", like=like, workers=32, **flags)["seed_s"]


def startup(lab, name):
    took = []
    for _ in range(3):
        peer, s, _ = begin(lab, name)
        took.append(s)
        time.sleep(2)
        peer.stop()
    return {"startup_s": took}


def latency(lab, name):
    if name == "floor":
        return lab.load("floor-latency", n=50, prefix="l")
    peer, _, _ = begin(lab, name)
    time.sleep(3)
    out = {"rss_0_mib": peer.memory_mib(), **lab.load("latency", n=50, prefix="l")}
    peer.stop()
    return out


def floor_of(name):
    """What kind of floor: the least, or with statuses that say as much as the operator's, on its definitions."""
    return {"full": "true"} if name == "floor+status" else {}


def burst(lab, name, delay="0s"):
    lab.set_cloud(latency=delay)
    if name.startswith("floor"):
        # No more calls are under way that are signed with one key: should it have become wrong, more of them would lock it.
        return lab.load("floor", n=MANY, workers=64 if delay == "0s" else 4, prefix="b", **floor_of(name))
    peer, _, prefix = begin(lab, name)
    time.sleep(5)
    cpu, mark, calls = peer.cpu_s(), lab.mark(), lab.calls()
    out = lab.load("burst", n=MANY, prefix="b", timeout="8m")
    out["cpu_s"] = round(peer.cpu_s() - cpu, 2)
    out.update({k: v - calls[k] for k, v in lab.calls().items()})
    time.sleep(10)
    out.update(lab.requests(mark, without=prefix))
    out["rss_mib"], out["peak_mib"] = peer.memory_mib(), peer.memory_mib("VmHWM")
    if name == "O":
        out["scrape"] = scrapes(lab, peer)
    peer.stop()
    return out


def scrapes(lab, peer, count=50):
    """Each object has an instance of its own here, and so as many series as there can be."""
    took, cpu, text = [], peer.cpu_s(), ""
    for _ in range(count):
        asked = time.time()
        with urllib.request.urlopen(f"http://127.0.0.1:{lab.listen_port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        took.append((time.time() - asked) * 1000)
    took.sort()
    return {"p50_ms": round(took[count // 2], 1), "p98_ms": round(took[int(count * 0.98)], 1), "cpu_ms": round((peer.cpu_s() - cpu) * 1000 / count, 1),
            "series": sum(not line.startswith("#") for line in text.splitlines()), "mb": round(len(text) / 1e6, 2), "rss_mib": peer.memory_mib()}


def running(lab, name):
    if name.startswith("floor"):
        return {"caught_up_s": lab.load("floor", n=MANY, workers=64, prefix="r", **floor_of(name))["caught_up_s"]}
    lab.set_cloud(building="60m")
    peer = lab.peer(name)
    lab.load("apply", n=MANY, prefix="r")
    out = {"all_running": lab.load("wait", n=MANY, prefix="r", **{"for": "ids"}, timeout="6m")["ok"]}
    time.sleep(60)  # until the last Event of the burst is written
    calls, cpu = lab.calls(), peer.cpu_s()
    time.sleep(60)
    out["lists_a_minute"] = lab.calls()["list"] - calls["list"]
    out["cpu_a_minute_s"] = round(peer.cpu_s() - cpu, 2)
    out["rss_mib"] = peer.memory_mib()
    peer.stop()
    calls, mark = lab.calls(), lab.mark()
    peer = lab.peer(name)
    time.sleep(60)
    now = lab.calls()
    out["restart_create"], out["restart_lists"] = now["create"] - calls["create"], now["list"] - calls["list"]
    out["restart_writes"] = lab.requests(mark)["writes"]
    peer.stop()
    lab.set_cloud(building="0s")
    out.update(catch_up(lab, name, "r"))
    return out


def catch_up(lab, name, prefix):
    """Starts the peer when all of its running backups have ended in the cloud."""
    calls = lab.calls()
    peer = lab.peer(name)
    got = lab.load("wait", n=MANY, prefix=prefix, timeout="15m")
    took, now = time.time() - peer.started, lab.calls()
    peer.stop()
    return {"caught_up_s": round(took, 2) if got["ok"] else None, "caught_up_lists": now["list"] - calls["list"], "duplicates": now["duplicates"]}


def idle(lab, name):
    seeded = seed(lab, pattern(lab, name), int(os.environ.get("IDLE", "10000")))
    return {"seed_s": seeded, **start_settled(lab, name)}


def duplicates(lab, name):
    lab.set_cloud(lose=0.1, latency="200ms")
    random.seed(7)
    peer, start, _ = begin(lab, name)
    time.sleep(3)
    lab.load("apply", n=200, prefix="d")
    lives = []
    for _ in range(10):
        time.sleep(random.uniform(0.1, 0.8))
        lives.append(lab.load("wait", n=0, prefix="d", **{"for": "ids"})["ids"])
        peer.stop(signal.SIGKILL)
        peer = lab.peer(name)
        time.sleep(start)
    got = lab.load("wait", n=200, prefix="d", **{"for": "ids"}, timeout="10m")
    out = {"ids_at_kills": lives, "never_an_id": 200 - got["ids"], **lab.calls()}
    peer.stop()
    return out


def large(lab, name):
    """Objects on which their owners hung much, at a start."""
    lab.load("apply", n=400, prefix="x", annotate=250_000)
    peer = lab.peer(name)
    out = {"all_running": lab.load("wait", n=400, prefix="x", **{"for": "ids"}, timeout="10m")["ok"]}
    out["rss_mib"], out["peak_mib"] = peer.memory_mib(), peer.memory_mib("VmHWM")
    peer.stop()
    return out


def size(_lab, name):
    """What is shipped, in MiB."""
    path = {"O": labs.OPERATOR, "G": labs.BIN / "peer-go", "P": labs.WORK / "venv/lib"}[name]
    files = [os.path.join(folder, file) for folder, _, files in os.walk(path) for file in files] or [path]
    installers = ("__pycache__", "/site-packages/pip", "/site-packages/setuptools")
    return {"mib": round(sum(os.path.getsize(file) for file in files if not any(part in str(file) for part in installers)) / (1 << 20), 1)}
