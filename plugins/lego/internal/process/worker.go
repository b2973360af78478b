package process

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	cmd    *exec.Cmd
	dir    string
	in     io.WriteCloser
	out    chan answer
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

// start starts a process. It returns when the provider has been made; refused says why
// it could not be made.
func start(ctx context.Context, program, code string, base []string, e settings.Environment) (w *worker, refused string, err error) {
	w = &worker{out: make(chan answer, 1), ended: make(chan struct{}), turn: make(chan struct{}, 1), written: map[key]bool{}, removed: map[key]bool{}, latest: map[string]string{}}
	if w.dir, err = os.MkdirTemp("", "lego-"); err != nil {
		return nil, "", err
	}
	if err = w.launch(program, code, base, e); err != nil {
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

func (w *worker) launch(program, code string, base []string, e settings.Environment) error {
	// HOME is empty, so that SDKs find no files of somebody else there.
	environment := append(slices.Clone(base), "HOME="+w.dir, "TMPDIR="+w.dir)
	for name, value := range e.Variables {
		environment = append(environment, name+"="+value)
	}
	for name, content := range e.Files {
		path := filepath.Join(w.dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
		environment = append(environment, name+"="+path)
	}
	w.cmd = exec.Command(program, Argument, code)
	w.cmd.Env, w.cmd.Dir = environment, w.dir
	var err error
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	w.cmd.ExtraFiles = []*os.File{write}
	err = w.cmd.Start()
	write.Close()
	if err != nil {
		read.Close()
		return err
	}
	go w.listen(read)
	return nil
}

// listen passes answers on until the process has ended.
func (w *worker) listen(read *os.File) {
	decoder := json.NewDecoder(read)
	for {
		a := answer{}
		if decoder.Decode(&a) != nil {
			break
		}
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
		return answer{}, fmt.Errorf("a call without a deadline")
	}
	c.Patience = time.Until(deadline)
	if err := json.NewEncoder(w.in).Encode(c); err != nil {
		return answer{}, err
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
