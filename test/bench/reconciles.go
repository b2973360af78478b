package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// scrape reads the metrics, as Prometheus does. It returns what reconciles does, and how
// long it took.
func (c *controllers) scrape(ctx context.Context) (calls, time.Duration, error) {
	began := time.Now()
	looked, err := c.reconciles(ctx)
	return looked, time.Since(began), err
}

// reconciles returns the number of reconciliations of each controller, from its
// metrics.
func (c *controllers) reconciles(ctx context.Context) (calls, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.metrics+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("metrics of the controllers: %w", err)
	}
	defer resp.Body.Close()
	counts := calls{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), `certmanager_controller_sync_call_count{controller="`)
		if !ok {
			continue
		}
		name, value, _ := strings.Cut(rest, `"} `)
		count, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("metrics of the controllers: %w", err)
		}
		counts[name] = int(count)
	}
	return counts, lines.Err()
}

func (c calls) since(before calls) calls {
	d := calls{}
	for what, count := range c {
		if count > before[what] {
			d[what] = count - before[what]
		}
	}
	return d
}
