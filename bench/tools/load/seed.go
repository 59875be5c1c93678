package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"strings"
	"time"
)

// The label by which a schedule knows its backups.
const scheduleLabel = "dbbackup.dev/schedule"

// likeness is what of an object others can see.
type likeness struct {
	Metadata struct {
		Name        string            `json:"name"`
		Labels      map[string]string `json:"labels,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
		Finalizers  []string          `json:"finalizers,omitempty"`
	} `json:"metadata"`
	Spec   map[string]any `json:"spec"`
	Status map[string]any `json:"status"`
}

// seed writes objects that nobody can tell from the pattern: its labels and annotations, its spec, and every word of its status, with names, ids and
// the hash of the operator's own as they would be.
func seed() time.Duration {
	var pattern likeness
	if err := call(kube, "GET", path()+"/"+*like, "application/json", nil, &pattern); err != nil {
		log.Fatal(err)
	}
	text := func(key string) string { s, _ := pattern.Status[key].(string); return s }
	if text("phase") != "Completed" || text("backupId") == "" {
		log.Fatalf("%s is no pattern: its phase is %q", *like, text("phase"))
	}
	if *reword {
		for _, condition := range pattern.Status["conditions"].([]any) {
			c := condition.(map[string]any)
			c["message"] = fmt.Sprintf("as an earlier version said it: %v", c["message"])
		}
	}
	schedule := pattern.Metadata.Labels[scheduleLabel]
	of, _ := pattern.Spec["source"].(map[string]any)["instanceId"].(string)
	whole, err := json.Marshal(pattern)
	if err != nil {
		log.Fatal(err)
	}
	return each(*n, func(i int) error {
		name, owner := name(i), ""
		if *children > 0 {
			owner = fmt.Sprintf("%s-%d", *prefix, i / *children)
			name = owner + "-" + time.Date(2026, 1, 1+i%*children, 2, 0, 0, 0, time.UTC).Format("200601021504")
		}
		instance := "inst-" + name
		if owner != "" {
			instance = "inst-" + owner
		}
		job := "job-" + name
		if text("jobId") == "" {
			job = ""
		}
		var o likeness
		replaced := replace(string(whole), text("backupName"), "BACKUP-NAME", text("backupId"), fmt.Sprintf("%032x", i), text("jobId"), job,
			of, instance, *like, name, quoted(schedule), quoted(owner))
		if err := json.Unmarshal([]byte(replaced), &o); err != nil {
			return err
		}
		o.Metadata.Name = name
		if owner == "" {
			o.Metadata.Labels[label] = *prefix
		}
		made, err := post(o.Metadata, o.Spec)
		if err != nil {
			return err
		}
		status, err := json.Marshal(o.Status)
		if err != nil {
			return err
		}
		return patch(&made, json.RawMessage(strings.ReplaceAll(string(status), "BACKUP-NAME", backupName(text("backupName"), name, made.Metadata.UID, instance))))
	})
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return `"` + s + `"`
}

// replace replaces each first of a pair by the second, one after the other.
func replace(s string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] != "" {
			s = strings.ReplaceAll(s, pairs[i], pairs[i+1])
		}
	}
	return s
}

// backupName is what the first attempt of an object is called in the cloud: by the operator with a hash (src/plan/backup/name.rs), by others without.
func backupName(pattern, name, uid, instance string) string {
	if pattern == "dbb-"+*like {
		return "dbb-" + name
	}
	sum := sha256.New()
	for _, part := range []string{uid, instance, "1"} {
		_ = binary.Write(sum, binary.BigEndian, uint64(len(part)))
		sum.Write([]byte(part))
	}
	return fmt.Sprintf("dbb-%.39s-%s", name, hex.EncodeToString(sum.Sum(nil))[:20])
}
