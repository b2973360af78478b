package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/everleaf/everleaf/test/child"
)

// lineWidth is the longest printed command on one line.
const lineWidth = 100

// kubectl runs commands as a user would type them, and prints them.
type kubectl struct {
	path, kubeconfig, dir string
	out                   io.Writer
}

func (k kubectl) run(ctx context.Context, args ...string) error {
	fmt.Fprintf(k.out, "  $ %s\n", commandLine(append([]string{k.path}, args...)))
	cmd := exec.CommandContext(ctx, k.path, args...)
	cmd.Dir = k.dir
	cmd.Env = append(os.Environ(), "KUBECONFIG="+k.kubeconfig)
	child.OwnGroup(cmd)
	output, err := cmd.CombinedOutput()
	fmt.Fprint(k.out, indent(string(output)))
	if err != nil {
		return fmt.Errorf("kubectl %s: %w", args[0], err)
	}
	return nil
}

// commandLine quotes a command for a shell. A long command takes several lines.
func commandLine(args []string) string {
	quoted := make([]string, 0, len(args))
	for _, arg := range args {
		if strings.ContainsAny(arg, " '\"$&|;<>()*?[]#~!{}\\`") {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		quoted = append(quoted, arg)
	}
	line := strings.Join(quoted, " ")
	if len(line) <= lineWidth {
		return line
	}
	return strings.ReplaceAll(line, " --", " \\\n      --")
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
	}
	return b.String()
}
