package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// profile records consecutive CPU profiles of the controllers until the
// returned function is called. go tool pprof merges them.
func (c *controllers) profile(ctx context.Context, dir, name string) func() {
	if dir == "" {
		return func() {}
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; ; i++ {
			c.fetch(ctx, "profile?seconds=5", filepath.Join(dir, fmt.Sprintf("%s-cpu-%d.pprof", name, i)))
			select {
			case <-stop:
				c.fetch(ctx, "allocs", filepath.Join(dir, name+"-allocs.pprof"))
				return
			default:
			}
		}
	}()
	return func() {
		close(stop)
		<-done
	}
}

func (c *controllers) fetch(ctx context.Context, what, path string) {
	err := func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.profiler+"/debug/pprof/"+what, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		if _, err := io.Copy(file, resp.Body); err != nil {
			file.Close()
			return err
		}
		return file.Close()
	}()
	if err != nil {
		say("no profile: %v", err)
	}
}
