package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/everleaf/everleaf/internal/local"
)

// calls counts requests to the API server by "verb resource", from its audit
// log.
type calls map[string]int

// entry is the part of an audit event that is read.
type entry struct {
	Verb string `json:"verb"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	Stage    string    `json:"stage"`
	Received time.Time `json:"requestReceivedTimestamp"`
	Stamp    time.Time `json:"stageTimestamp"`
}

func (e entry) read() bool { return e.Verb == "get" || e.Verb == "list" }

func (e entry) String() string {
	what := e.Verb + " " + e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		what += "/" + e.ObjectRef.Subresource
	}
	if e.ResponseStatus.Code >= 400 && e.ResponseStatus.Code != 404 {
		what += fmt.Sprintf(" (%d)", e.ResponseStatus.Code)
	}
	return what
}

// entries calls each for every completed request of the controllers, except
// watches.
func (p *plane) entries(each func(entry)) error {
	file, err := os.Open(p.audit)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			continue // an incomplete line
		}
		if e.User.Username == local.ControllerUser && e.Stage == "ResponseComplete" && e.Verb != "watch" {
			each(e)
		}
	}
	return lines.Err()
}

// settle returns when the controllers have written nothing for a second, which
// is after the events and deletions that follow an issuance, or after half a
// minute.
func (p *plane) settle(ctx context.Context) error {
	timer := time.NewTicker(time.Second)
	defer timer.Stop()
	began := time.Now()
	for {
		last := began
		err := p.entries(func(e entry) {
			if !e.read() && e.Stamp.After(last) {
				last = e.Stamp
			}
		})
		if err != nil {
			return err
		}
		if time.Since(last) > time.Second || time.Since(began) > 30*time.Second {
			return nil
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// count counts the calls since a time.
func (p *plane) count(since time.Time) (writes, reads calls, err error) {
	writes, reads = calls{}, calls{}
	err = p.entries(func(e entry) {
		switch {
		case e.Received.Before(since), e.ObjectRef.Resource == "selfsubjectaccessreviews":
			// Permissions are checked once a minute and issuer.
		case e.read():
			reads[e.String()]++
		default:
			writes[e.String()]++
		}
	})
	return writes, reads, err
}

// crowd returns how many calls of the controllers the API server had at once at most
// since a time, and how long it took to answer one, at the 99th percentile.
func (p *plane) crowd(since time.Time) (most int, slowest time.Duration, err error) {
	type edge struct {
		at    time.Time
		delta int
	}
	var edges []edge
	var took []time.Duration
	err = p.entries(func(e entry) {
		if !e.Received.Before(since) {
			edges = append(edges, edge{e.Received, 1}, edge{e.Stamp, -1})
			took = append(took, e.Stamp.Sub(e.Received))
		}
	})
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(a.at.Compare(b.at), a.delta-b.delta) })
	n := 0
	for _, e := range edges {
		n += e.delta
		most = max(most, n)
	}
	slices.Sort(took)
	return most, percentile(took, 99), err
}

// refused counts the calls that the API server has not carried out because of its load or
// an error of its own.
func (c calls) refused() int {
	n := 0
	for what, count := range c {
		if strings.HasSuffix(what, "(429)") || strings.Contains(what, "(5") {
			n += count
		}
	}
	return n
}

// on counts the calls for a resource.
func (c calls) on(resource string) int {
	n := 0
	for what, count := range c {
		if _, object, _ := strings.Cut(what, " "); strings.HasPrefix(object, resource) {
			n += count
		}
	}
	return n
}

func (c calls) per(n int) float64 { return float64(c.total()) / float64(n) }

func (c calls) total() int {
	sum := 0
	for _, count := range c {
		sum += count
	}
	return sum
}
