// The load side of the measurements: creates DatabaseBackups, follows their status, times one after another, and is the floor itself.
//
//	load apply   -n 1000              create objects
//	load seed    -n 10000 -like NAME  create settled objects in the likeness of one that an operator has settled
//	load latency -n 50                one at a time: create sent -> create call at the cloud
//	load burst   -n 1000              create objects, then wait for all ids and all Completed
//	load wait    -n 1000 -for ids     wait until that many objects have an id (or are completed, or have a phase)
//	load floor   -n 1000 -workers 64  what no operator can do without, for each object: status patch, create call, status patch; later, a last status patch
//	load floor-latency -n 50          the same for one object at a time, up to the create call
//	load key                          a key for the API server to sign with, as PEM
//
// Prints one JSON object otherwise. Every loop is bounded by -n and -timeout.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var (
	api      = flag.String("api", "", "kube-apiserver")
	cloud    = flag.String("cloud", "", "the cloud")
	token    = flag.String("token", "admin-token", "bearer token")
	n        = flag.Int("n", 1000, "objects")
	from     = flag.Int("from", 0, "number of the first object")
	workers  = flag.Int("workers", 16, "at once")
	account  = flag.String("account", "", "name of a ClusterCloudAccount; empty for operators without accounts")
	accounts = flag.Int("accounts", 0, "spread the objects over so many accounts, named ACCOUNT-0 and so on")
	engine   = flag.String("engine", "TaurusDB", "engine of the objects")
	annotate = flag.Int("annotate", 0, "bytes of an annotation that each object has")
	space    = flag.String("namespace", "default", "namespace of the objects")
	prefix   = flag.String("prefix", "b", "object name prefix")
	instance = flag.String("instance", "inst", "what the ids of instances begin with")
	like     = flag.String("like", "", "name of the object that seed takes for a pattern")
	full     = flag.Bool("full", false, "let the floor write statuses that say as much as the operator's")
	reword   = flag.Bool("reword", false, "seed messages that the operator would word otherwise")
	children = flag.Int("children", 0, "seed as the backups of schedules, so many for each of them")
	pause    = flag.Duration("pause", 100*time.Millisecond, "between two objects of latency")
	until    = flag.String("for", "completed", "what wait waits for: phase, ids or completed")
	timeout  = flag.Duration("timeout", 5*time.Minute, "give up after")
)

func name(i int) string { return fmt.Sprintf("%s-%05d", *prefix, i) }

func each(count int, work func(i int) error) time.Duration {
	start, next, wg := time.Now(), atomic.Int64{}, sync.WaitGroup{}
	for range *workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				if err := work(*from + i); err != nil {
					log.Fatal(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

func quantile(d []float64, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

func quantiles(into map[string]any, what string, d []float64) {
	into[what+"p50_ms"], into[what+"p98_ms"] = quantile(d, .5), quantile(d, .98)
}

// latency lets an operator work on one object after another. Of the floor it is what the loader itself needs for it.
func latency(floor bool) map[string]any {
	var fromSend, applied []float64
	for i := range *n {
		sent := time.Now()
		o, err := create(i)
		if err != nil {
			log.Fatal(err)
		}
		took := time.Since(sent)
		if floor {
			if _, err := ask(&o, i); err != nil {
				log.Fatal(err)
			}
		}
		at, err := arrival(name(i))
		if err != nil {
			log.Fatal(err)
		}
		fromSend = append(fromSend, float64(at-sent.UnixNano())/1e6)
		applied = append(applied, float64(took.Nanoseconds())/1e6)
		time.Sleep(*pause) // let the ids be written: this is one at a time, not a queue
	}
	out := map[string]any{}
	quantiles(out, "", fromSend)
	quantiles(out, "apply_", applied)
	return out
}

func burst() map[string]any {
	t := follow()
	born := sync.Map{}
	start := time.Now()
	took := each(*n, func(i int) error {
		born.Store(name(i), time.Now())
		_, err := create(i)
		return err
	})
	idsOK := t.reach(*n, "ids")
	doneOK := idsOK && t.reach(*n, "completed")
	t.mu.Lock()
	defer t.mu.Unlock()
	var own []float64
	for k, at := range t.seen["ids"] {
		if b, ok := born.Load(k); ok {
			own = append(own, at.Sub(b.(time.Time)).Seconds())
		}
	}
	return map[string]any{"apply_s": took.Seconds(), "ids_s": t.last("ids", start), "completed_s": t.last("completed", start),
		"ids": len(t.seen["ids"]), "completed": len(t.seen["completed"]), "ok": idsOK && doneOK,
		"own_p50_s": quantile(own, .5), "own_p98_s": quantile(own, .98)}
}

func floor() map[string]any {
	objects := make([]object, *n)
	applied := each(*n, func(i int) (err error) { objects[i], err = create(i); return })
	took := each(*n, func(i int) error {
		o := &objects[i]
		id, err := ask(o, i)
		if err != nil {
			return err
		}
		return patch(o, map[string]any{"phase": "Running", "backupId": id, "jobId": "job-" + id, "cloudStatus": "BUILDING", "conditions": ready("Running")})
	})
	caughtUp := each(*n, func(i int) error {
		return patch(&objects[i], map[string]any{"phase": "Completed", "conditions": ready("Completed")})
	})
	return map[string]any{"apply_s": applied.Seconds(), "calls_s": took.Seconds(), "ids_s": (applied + took).Seconds(), "caught_up_s": caughtUp.Seconds()}
}

func wait() map[string]any {
	start, t := time.Now(), follow()
	ok := t.reach(*n, *until)
	t.mu.Lock()
	defer t.mu.Unlock()
	var after []float64
	for _, at := range t.seen[*until] {
		after = append(after, at.Sub(start).Seconds())
	}
	return map[string]any{"ok": ok, "wait_s": time.Since(start).Seconds(), "first_s": quantile(after, 0), "p50_s": quantile(after, .5),
		"p98_s": quantile(after, .98), "last_s": quantile(after, 1), "ids": len(t.seen["ids"]), "completed": len(t.seen["completed"])}
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("load apply|seed|latency|burst|wait|floor|floor-latency|key [flags]")
	}
	_ = flag.CommandLine.Parse(os.Args[2:])
	var out map[string]any
	switch os.Args[1] {
	case "apply":
		out = map[string]any{"apply_s": each(*n, func(i int) error { _, err := create(i); return err }).Seconds()}
	case "seed":
		out = map[string]any{"seed_s": seed().Seconds()}
	case "latency", "floor-latency":
		out = latency(os.Args[1] != "latency")
	case "burst":
		out = burst()
	case "floor":
		out = floor()
	case "wait":
		out = wait()
	case "key":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			log.Fatal(err)
		}
		raw, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			log.Fatal(err)
		}
		_ = pem.Encode(os.Stdout, &pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
		return
	default:
		log.Fatalf("unknown command %s", os.Args[1])
	}
	_ = json.NewEncoder(os.Stdout).Encode(out)
}
