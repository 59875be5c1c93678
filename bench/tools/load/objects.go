package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// One connection takes 250 requests at once, and the floor has fewer.
var kube, watcher = connect(), connect() // a connection of its own for the watch

func connect() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
}

var plain = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}

// label is on every object that the loader makes, with its prefix, so that it can follow its own among many others.
const label = "load"

type object struct {
	Metadata struct {
		Name            string `json:"name"`
		UID             string `json:"uid"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Status struct {
		BackupID string `json:"backupId"`
		Phase    string `json:"phase"`
	} `json:"status"`
}

func call(c *http.Client, method, url, kind string, body, out any) error {
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, url, in)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	if c != plain {
		req.Header.Set("Authorization", "Bearer "+*token)
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %.200s", method, url, resp.StatusCode, raw)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

func path() string {
	return *api + "/apis/dbbackup.dev/v1alpha1/namespaces/" + *space + "/databasebackups"
}

func create(i int) (object, error) {
	metadata := map[string]any{"name": name(i), "labels": map[string]string{label: *prefix}}
	if *annotate > 0 {
		metadata["annotations"] = map[string]string{"note": strings.Repeat("x", *annotate)}
	}
	spec := map[string]any{"source": map[string]any{"engine": *engine, "instanceId": *instance + "-" + name(i)}}
	if *account != "" {
		name := *account
		if *accounts > 0 {
			name = fmt.Sprintf("%s-%d", name, i%*accounts)
		}
		spec["accountRef"] = map[string]any{"kind": "ClusterCloudAccount", "name": name}
	}
	return post(metadata, spec)
}

func post(metadata, spec any) (o object, err error) {
	err = call(kube, "POST", path(), "application/json",
		map[string]any{"apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackup", "metadata": metadata, "spec": spec}, &o)
	return o, err
}

// said makes a status say as much as one of the operator: also where the backup is and how the call went, with a sentence for a message.
func said(status map[string]any) map[string]any {
	for _, condition := range status["conditions"].([]map[string]any) {
		condition["message"] = "TaurusDB holds backup 4f6a28248cb1f0ec4820643d619d3561 of instance inst-b-00000"
	}
	status["cloud"], status["region"], status["projectId"], status["endpoint"] = "OpenTelekomCloud", "eu-de", "project", "127.0.0.1:34405"
	status["origin"], status["createOutcome"], status["lastSyncTime"] = "Created", "Accepted", time.Now().UTC().Format(time.RFC3339)
	return status
}

func patch(o *object, status any) error {
	if words, ok := status.(map[string]any); ok && *full {
		status = said(words)
	}
	return call(kube, "PATCH", path()+"/"+o.Metadata.Name+"/status", "application/merge-patch+json",
		map[string]any{"metadata": map[string]any{"resourceVersion": o.Metadata.ResourceVersion}, "status": status}, o)
}

func ready(reason string) []map[string]any {
	return []map[string]any{{"type": "Ready", "status": "False", "reason": reason, "message": reason,
		"observedGeneration": 1, "lastTransitionTime": time.Now().UTC().Format(time.RFC3339)}}
}

// ask writes what has to be known after a crash, and then asks the cloud for a backup.
func ask(o *object, i int) (id string, err error) {
	if err = patch(o, map[string]any{"phase": "Pending", "backupName": "dbb-" + name(i), "attempts": 1, "observedGeneration": 1,
		"requestTime": time.Now().UTC().Format(time.RFC3339), "conditions": ready("Submitting")}); err != nil {
		return "", err
	}
	var made struct {
		Backup struct {
			ID string `json:"id"`
		} `json:"backup"`
	}
	err = call(plain, "POST", *cloud+"/v3/project/backups/create", "application/json",
		map[string]string{"instance_id": *instance + "-" + name(i), "name": "dbb-" + name(i)}, &made)
	return made.Backup.ID, err
}

// arrival is when the first create call for an object came to the cloud, in unix nanoseconds.
func arrival(name string) (int64, error) {
	resp, err := plain.Get(*cloud + "/_admin/wait?name=dbb-" + name)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	at, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("no create call for %s: %s", name, raw)
	}
	return at, nil
}
