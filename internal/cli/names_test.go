package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

func TestBareNames(t *testing.T) {
	for arg, want := range map[string]string{
		"www": "www", "certificate/www": "www", "certificates/www": "www", "cert/www": "www", "Certificate/www": "www", "certificates.cert-manager.io/www": "www",
		"secret/www": "", "certificate/": "", "": "", "a/b/c": "", "..": "",
	} {
		args := []string{"first", arg}
		err := bareNames(cmv1.CertificateKind, args)
		switch {
		case want == "" && (err == nil || err.Error() != fmt.Sprintf("%q is not the name of a Certificate", arg)):
			t.Errorf("%q: %v, %q", arg, err, args)
		case want != "" && (err != nil || !slices.Equal(args, []string{"first", want})):
			t.Errorf("%q: %v, %q", arg, err, args)
		}
	}
}

// TestCompletionOfAName: a program that was called cmctl completes commands that begin
// with cmctl.
func TestCompletionOfAName(t *testing.T) {
	var program, help bytes.Buffer
	if code := Run(context.Background(), "/usr/bin/cmctl", []string{"completion", "bash"}, &program, &program); code != 0 || !strings.Contains(program.String(), "__start_cmctl cmctl\n") {
		t.Errorf("exit %d: %s", code, program.String()[max(0, program.Len()-300):])
	}
	Run(context.Background(), "/usr/bin/cmctl", []string{"completion", "--help"}, &help, &help)
	if want := "cmctl completion bash > /etc/bash_completion.d/cmctl\n"; !strings.Contains(help.String(), want) || strings.Contains(help.String(), "everleaf") {
		t.Errorf("no %q, or another name, in\n%s", want, help.String())
	}
}

// TestGone: only a reader that has gone away ends a command without a word.
func TestGone(t *testing.T) {
	pipe := &fs.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.EPIPE}
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"nothing": {nil, false}, "the reader has gone": {fmt.Errorf("print: %w", pipe), true}, "another file": {&fs.PathError{Op: "write", Path: "/x", Err: syscall.EPIPE}, false},
		"the disk is full": {&fs.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.ENOSPC}, false}, "something else": {errors.New("no"), false},
	} {
		if got := gone(test.err); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
