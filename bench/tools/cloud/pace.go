package main

import (
	"net/http"
	"time"
)

// RDS allows each user 60 calls a minute, of all kinds together.
const allowed = 60

// pace remembers the calls of the last minute.
type pace struct {
	calls            []time.Time
	busiest, refused int
}

// admit counts a call, and says whether it is one too many.
func (p *pace) admit(now time.Time) bool {
	for len(p.calls) > 0 && now.Sub(p.calls[0]) > time.Minute {
		p.calls = p.calls[1:]
	}
	p.calls = append(p.calls, now)
	p.busiest = max(p.busiest, len(p.calls))
	if len(p.calls) > allowed {
		p.refused++
		return false
	}
	return true
}

func (c *cloud) paced(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		admitted := c.pace.admit(time.Now())
		c.mu.Unlock()
		if !admitted {
			refuse(w, 429, "APIGW.0308", "The throttling threshold has been reached.")
			return
		}
		serve(w, r)
	}
}
