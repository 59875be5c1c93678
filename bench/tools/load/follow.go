package main

import (
	"bufio"
	"encoding/json"
	"log"
	"net/http"
	"sync"
	"time"
)

// tracker follows the objects of a prefix with one list and one watch, and remembers when each first had a phase, had an id, and was completed.
type tracker struct {
	mu      sync.Mutex
	seen    map[string]map[string]time.Time
	changed chan struct{}
}

func (t *tracker) see(o *object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for what, is := range map[string]bool{"phase": o.Status.Phase != "", "ids": o.Status.BackupID != "", "completed": o.Status.Phase == "Completed"} {
		if _, ok := t.seen[what][o.Metadata.Name]; is && !ok {
			t.seen[what][o.Metadata.Name] = now
		}
	}
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

func follow() *tracker {
	t := &tracker{seen: map[string]map[string]time.Time{"phase": {}, "ids": {}, "completed": {}}, changed: make(chan struct{}, 1)}
	version, err := t.list()
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for { // the API server ends the watch of a slow client, and may be restarted: list again, watch again
			t.watch(version)
			for version, err = t.list(); err != nil; version, err = t.list() {
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	return t
}

func selected() string { return path() + "?labelSelector=" + label + "%3D" + *prefix }

func (t *tracker) list() (string, error) {
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []object `json:"items"`
	}
	if err := call(kube, "GET", selected(), "application/json", nil, &list); err != nil {
		return "", err
	}
	for i := range list.Items {
		t.see(&list.Items[i])
	}
	return list.Metadata.ResourceVersion, nil
}

func (t *tracker) watch(version string) {
	req, _ := http.NewRequest("GET", selected()+"&watch=true&resourceVersion="+version, nil)
	req.Header.Set("Authorization", "Bearer "+*token)
	resp, err := watcher.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(bufio.NewReaderSize(resp.Body, 1<<16)); ; {
		var e struct {
			Type   string `json:"type"`
			Object object `json:"object"`
		}
		if dec.Decode(&e) != nil || e.Type == "ERROR" {
			return
		}
		t.see(&e.Object)
	}
}

// reach waits until that many objects have come so far, and tells whether that was before the timeout.
func (t *tracker) reach(count int, what string) bool {
	deadline := time.After(*timeout)
	for {
		t.mu.Lock()
		have := len(t.seen[what])
		t.mu.Unlock()
		if have >= count {
			return true
		}
		select {
		case <-t.changed:
		case <-deadline:
			return false
		}
	}
}

func (t *tracker) last(what string, since time.Time) float64 {
	var most float64
	for _, at := range t.seen[what] {
		most = max(most, at.Sub(since).Seconds())
	}
	return most
}
