// A small, fast stand-in for the backup API of TaurusDB, and for that of RDS with its pace, to measure operators against. Loopback only; takes any credentials.
//
//	POST /v3/{project}/backups/create  TaurusDB: 201, the backup is BUILDING, -building later COMPLETED
//	POST /v3/{project}/backups         RDS, on the address -rds: the same
//	GET  /v3/{project}/backups?instance_id=&backup_id=&name=&begin_time=&end_time=&offset=&limit=   200, paged, newest first
//	GET  /v3/projects?name=            200, IAM: the project of the access key
//	POST /_admin/set?lose=0.1&building=5m&latency=100ms   lose: share of create calls that are carried out and not answered
//	POST /_admin/seed?n=1000&from=0&prefix=a&age=3h   that many completed backups, so old, with the ids that `load seed` writes
//	GET  /_admin/stats                 counts of calls; backups, and how many of them have a name that another one has
//	GET  /_admin/wait?name=…           unix nanoseconds when the first create for that name arrived (waits up to 10 minutes)
//
// An instance whose id begins with `unknown-` does not exist.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

type backup struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	InstanceID  string `json:"instance_id"`
	BeginTime   string `json:"begin_time"`
	EndTime     string `json:"end_time,omitempty"`
	Status      string `json:"status"`
	Type        string `json:"type"`
	Size        int64  `json:"size,omitempty"`
	born        time.Time
}

const stamp = "2006-01-02T15:04:05-0700"

func (b *backup) view(now time.Time, building time.Duration) backup {
	v := *b
	if done := b.born.Add(building); now.After(done) {
		v.Status, v.EndTime, v.Size = "COMPLETED", done.UTC().Format(stamp), 4096
	}
	return v
}

type cloud struct {
	mu                sync.Mutex
	backups           int
	byProject         map[string][]*backup // oldest first
	byID              map[string]*backup
	byName, byInst    map[string][]*backup
	arrived           map[string]chan int64
	creates, lists    int
	others, lost      int
	lose              float64
	building, latency time.Duration
	pace              pace
}

// An operator may add a hash to the name; who waits does not know it.
var hash = regexp.MustCompile(`-[0-9a-f]{20}$`)

// Access keys that end in a number have a project each, others share one.
var numbered = regexp.MustCompile(`-[0-9]+\b`)

func (c *cloud) arrival(name string) chan int64 {
	name = hash.ReplaceAllString(name, "")
	if c.arrived[name] == nil {
		c.arrived[name] = make(chan int64, 1)
	}
	return c.arrived[name]
}

func (c *cloud) pause() {
	c.mu.Lock()
	d := c.latency
	c.mu.Unlock()
	time.Sleep(d)
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Request-Id", strconv.FormatUint(rand.Uint64(), 16))
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code int, word, message string) {
	answer(w, code, map[string]string{"error_code": word, "error_msg": message})
}

func (c *cloud) index(b *backup) {
	c.backups++
	c.byID[b.ID] = b
	c.byName[b.Name] = append(c.byName[b.Name], b)
	c.byInst[b.InstanceID] = append(c.byInst[b.InstanceID], b)
}

func (c *cloud) create(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	var in struct {
		InstanceID  string `json:"instance_id"`
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.InstanceID == "" || in.Name == "" {
		refuse(w, 400, "DBS.280001", "Parameter error.")
		return
	}
	c.pause()
	id := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
	b := &backup{ID: id, Name: in.Name, Description: in.Description, InstanceID: in.InstanceID, Type: "manual",
		Status: "BUILDING", BeginTime: now.UTC().Format(stamp), born: now}
	unknown, project := strings.HasPrefix(in.InstanceID, "unknown-"), r.PathValue("project")
	c.mu.Lock()
	c.creates++
	cut := !unknown && rand.Float64() < c.lose
	if cut {
		c.lost++
	}
	if !unknown {
		c.byProject[project] = append(c.byProject[project], b)
		c.index(b)
		select {
		case c.arrival(b.Name) <- now.UnixNano():
		default:
		}
	}
	c.mu.Unlock()
	switch {
	case unknown:
		refuse(w, 404, "DBS.200002", "The DB instance does not exist.")
	case cut:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
	default:
		answer(w, 201, map[string]any{"backup": b, "job_id": "job-" + id[:16]})
	}
}

// within returns those that were born in a window of a listing that is in order.
func within(from []*backup, q map[string][]string) []*backup {
	at := func(key string) (time.Time, bool) {
		if len(q[key]) == 0 {
			return time.Time{}, false
		}
		t, err := time.Parse(stamp, q[key][0])
		return t, err == nil
	}
	if end, ok := at("end_time"); ok {
		from = from[:sort.Search(len(from), func(i int) bool { return from[i].born.After(end) })]
	}
	if begin, ok := at("begin_time"); ok {
		from = from[sort.Search(len(from), func(i int) bool { return !from[i].born.Before(begin) }):]
	}
	return from
}

func (c *cloud) list(w http.ResponseWriter, r *http.Request) {
	q, now := r.URL.Query(), time.Now()
	offset, _ := strconv.Atoi(q.Get("offset"))
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > 100 {
		limit = 100
	}
	c.pause()
	c.mu.Lock()
	c.lists++
	from := c.byProject[r.PathValue("project")]
	switch {
	case q.Get("backup_id") != "":
		from = nil
		if b := c.byID[q.Get("backup_id")]; b != nil {
			from = []*backup{b}
		}
	case q.Get("name") != "":
		from = c.byName[q.Get("name")]
	case q.Get("instance_id") != "":
		from = c.byInst[q.Get("instance_id")]
	}
	from = within(from, q)
	page := make([]backup, 0, min(limit, len(from)))
	for i := len(from) - 1 - offset; i >= 0 && len(page) < limit; i-- {
		page = append(page, from[i].view(now, c.building))
	}
	total := len(from)
	c.mu.Unlock()
	answer(w, 200, map[string]any{"backups": page, "total_count": total})
}

// seed puts in what was there before everything else, each with the id and the instance that `load seed` gives it.
func (c *cloud) seed(prefix string, from, n int, age time.Duration) {
	born := time.Now().Add(-age)
	at := born.UTC().Format(stamp)
	old := make([]*backup, n)
	for i := range old {
		name := fmt.Sprintf("%s-%05d", prefix, from+i)
		old[i] = &backup{ID: fmt.Sprintf("%032x", from+i), Name: "dbb-" + name, InstanceID: "inst-" + name, Type: "manual",
			Status: "COMPLETED", BeginTime: at, EndTime: at, Size: 4096, born: born}
		c.index(old[i])
	}
	all := c.byProject["project"]
	younger := sort.Search(len(all), func(i int) bool { return all[i].born.After(born) })
	c.byProject["project"] = slices.Insert(all, younger, old...)
}

func (c *cloud) admin(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch strings.TrimPrefix(r.URL.Path, "/_admin/") {
	case "set":
		c.mu.Lock()
		if v, err := strconv.ParseFloat(q.Get("lose"), 64); err == nil {
			c.lose = v
		}
		if v, err := time.ParseDuration(q.Get("building")); err == nil {
			c.building = v
		}
		if v, err := time.ParseDuration(q.Get("latency")); err == nil {
			c.latency = v
		}
		c.mu.Unlock()
	case "seed":
		from, _ := strconv.Atoi(q.Get("from"))
		n, _ := strconv.Atoi(q.Get("n"))
		age, _ := time.ParseDuration(q.Get("age"))
		c.mu.Lock()
		c.seed(q.Get("prefix"), from, n, age)
		c.mu.Unlock()
	case "wait":
		c.mu.Lock()
		ch := c.arrival(q.Get("name"))
		c.mu.Unlock()
		select {
		case t := <-ch:
			fmt.Fprintln(w, t)
		case <-time.After(10 * time.Minute):
			http.Error(w, "no create came", http.StatusGatewayTimeout)
		}
	case "stats":
		c.mu.Lock()
		answer(w, 200, map[string]int{"create": c.creates, "list": c.lists, "other": c.others, "lost": c.lost, "backups": c.backups,
			"duplicates": c.backups - len(c.byName), "rds_refused": c.pace.refused, "rds_busiest_minute": c.pace.busiest})
		c.mu.Unlock()
	default:
		http.NotFound(w, r)
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:27700", "loopback address")
	rds := flag.String("rds", "127.0.0.1:27701", "loopback address of RDS")
	flag.Parse()
	c := &cloud{building: 20 * time.Second, byProject: map[string][]*backup{}, byID: map[string]*backup{}, byName: map[string][]*backup{}, byInst: map[string][]*backup{},
		arrived: map[string]chan int64{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v3/{project}/backups/create", c.create)
	mux.HandleFunc("GET /v3/{project}/backups", c.list)
	mux.HandleFunc("GET /v3/projects", func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.others++
		c.mu.Unlock()
		answer(w, 200, map[string]any{"projects": []map[string]any{{"id": "project" + numbered.FindString(r.Header.Get("Authorization")), "name": r.URL.Query().Get("name"), "enabled": true}}})
	})
	mux.HandleFunc("/_admin/", c.admin)
	paced := http.NewServeMux()
	paced.HandleFunc("POST /v3/{project}/backups", c.paced(c.create))
	paced.HandleFunc("GET /v3/{project}/backups", c.paced(c.list))
	go func() { log.Fatal(http.ListenAndServe(*rds, paced)) }()
	log.Fatal(http.ListenAndServe(*listen, mux))
}
