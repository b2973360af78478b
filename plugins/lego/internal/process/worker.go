package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/everleaf/everleaf/plugins/lego/internal/settings"
)

// grace is how long a call may take longer than its patience before its process is
// killed: most providers heed the deadline.
const grace = 2 * time.Second

// setUp is how long a provider may take to be made. Some ask their server then.
const setUp = 20 * time.Second

// worker is a process with a provider.
type worker struct {
	cmd *exec.Cmd
	// dir is its directory, which has the files of its Environment.
	dir string
	in  io.WriteCloser
	out chan answer
	// ended is closed when the process has ended, and broken says how then.
	ended  chan struct{}
	broken error
	// turn has one element while no call is running.
	turn chan struct{}
	// written are the records that the provider has written and not removed, and
	// removed those that it has removed.
	written, removed map[key]bool
	// latest is the value that was written last at each name.
	latest map[string]string
}

// key is a record in a worker's memory.
type key struct{ fqdn, value string }

// plan is what a process gets.
type plan struct {
	program, code string
	// base is the environment of the plugin; nothing overrides it if it is fixed.
	base  []string
	fixed bool
	// home is the directory for the directories of processes.
	home string
	settings.Environment
}

// variables is the environment of a process, with its directory.
func (p plan) variables(dir string) []string {
	all := map[string]string{}
	put := func(variables []string) {
		for _, variable := range variables {
			name, value, _ := strings.Cut(variable, "=")
			all[name] = value
		}
	}
	put(p.base)
	maps.Copy(all, p.Variables)
	for name := range p.Files {
		all[name] = filepath.Join(dir, name)
	}
	if p.fixed {
		put(p.base)
	}
	// HOME is empty, so that SDKs find no files of somebody else there.
	put([]string{"HOME=" + dir, "TMPDIR=" + dir})
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, name+"="+all[name])
	}
	return list
}

// start starts a process. It returns when the provider has been made; refused says why
// it could not be made.
func start(ctx context.Context, p plan) (w *worker, refused string, err error) {
	w = &worker{out: make(chan answer, 1), ended: make(chan struct{}), turn: make(chan struct{}, 1), written: map[key]bool{}, removed: map[key]bool{}, latest: map[string]string{}}
	if w.dir, err = os.MkdirTemp(p.home, "provider-"); err != nil {
		return nil, "", fmt.Errorf("make a directory for its files: %w", pathless(err))
	}
	if err = w.launch(p); err != nil {
		os.RemoveAll(w.dir)
		return nil, "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, setUp, fmt.Errorf("it took longer than %s", setUp))
	defer cancel()
	first, err := w.receive(ctx)
	if err != nil {
		w.stop()
		return nil, "", fmt.Errorf("set up: %w", err)
	}
	if first.Error != "" {
		w.stop()
		return nil, first.Error, nil
	}
	w.turn <- struct{}{}
	return w, "", nil
}

func (w *worker) launch(p plan) error {
	for name, content := range p.Files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("make the file for %s: %w", name, pathless(err))
		}
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer write.Close()
	w.cmd = exec.Command(p.program, Argument, p.code)
	w.cmd.Env, w.cmd.Dir, w.cmd.ExtraFiles = p.variables(w.dir), w.dir, []*os.File{write}
	if w.in, err = w.cmd.StdinPipe(); err == nil {
		err = w.cmd.Start()
	}
	if err != nil {
		read.Close()
		return err
	}
	go w.listen(read)
	return nil
}

// pathless is an error about a file without its path, which is another one each time.
func pathless(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// listen passes answers on until the process has ended. They do not name the directory,
// which is another one in each process.
func (w *worker) listen(read *os.File) {
	decoder := json.NewDecoder(read)
	for {
		a := answer{}
		if decoder.Decode(&a) != nil {
			break
		}
		a.Error = strings.ReplaceAll(a.Error, w.dir+"/", "")
		w.out <- a
	}
	read.Close()
	w.broken = w.cmd.Wait()
	os.RemoveAll(w.dir)
	close(w.ended)
}

func (w *worker) receive(ctx context.Context) (answer, error) {
	select {
	case a := <-w.out:
		return a, nil
	case <-w.ended:
		return answer{}, fmt.Errorf("the process of the provider has ended: %v", w.broken)
	case <-ctx.Done():
		return answer{}, context.Cause(ctx)
	}
}

// do has the provider do something. The caller has the turn.
func (w *worker) do(ctx context.Context, c call) (answer, error) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return answer{}, errors.New("a call without a deadline")
	}
	c.Patience = time.Until(deadline)
	if json.NewEncoder(w.in).Encode(c) != nil {
		return answer{}, errors.New("the process of the provider has ended")
	}
	// The provider's own answer to the deadline says more than the deadline.
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Patience+grace)
	defer cancel()
	return w.receive(late)
}

// alive reports whether the process has not ended.
func (w *worker) alive() bool {
	select {
	case <-w.ended:
		return false
	default:
		return true
	}
}

// stop ends the process.
func (w *worker) stop() {
	w.in.Close()
	_ = w.cmd.Process.Kill()
	for {
		select {
		case <-w.out:
		case <-w.ended:
			return
		}
	}
}

// mostRemoved bounds what a process remembers of removed records. It is for requests
// that are repeated soon.
const mostRemoved = 1000

// note remembers what a provider has done.
func (w *worker) note(k key, cleaned bool) {
	if cleaned {
		delete(w.written, k)
		if w.latest[k.fqdn] == k.value {
			delete(w.latest, k.fqdn)
		}
		if len(w.removed) >= mostRemoved {
			clear(w.removed)
		}
		w.removed[k] = true
		return
	}
	w.written[k] = true
	w.latest[k.fqdn] = k.value
	delete(w.removed, k)
}

// last reports whether no other value has been written at the name since. Some
// providers keep only one.
func (w *worker) last(k key) bool { return w.latest[k.fqdn] == k.value }
