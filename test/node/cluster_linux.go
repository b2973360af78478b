package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Await waits until check returns nil. Its error is check's last one, or the end of a
// component of the node. ctx bounds the wait.
func (n *Node) Await(ctx context.Context, what string, check func(context.Context) error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-n.life.Done():
			return context.Cause(n.life)
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (last: %w)", what, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// Eventually is Await for a test.
func (n *Node) Eventually(tb testing.TB, within time.Duration, what string, check func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeoutCause(tb.Context(), within, fmt.Errorf("not within %s", within))
	defer cancel()
	if err := n.Await(ctx, what, check); err != nil {
		tb.Fatal(err)
	}
}

// Available returns why a Deployment does not have all of its pods, or nil.
func (n *Node) Available(ctx context.Context, namespace, name string) error {
	d := &appsv1.Deployment{}
	if err := n.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, d); err != nil {
		return err
	}
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	if s := d.Status; s.ObservedGeneration < d.Generation || s.UpdatedReplicas != want || s.AvailableReplicas != want || s.Replicas != want {
		return fmt.Errorf("Deployment %s/%s has %d pods, %d of this version, %d available, of %d", namespace, name, s.Replicas, s.UpdatedReplicas, s.AvailableReplicas, want)
	}
	return nil
}

// Deployed waits until every Deployment of a namespace has its pods.
func (n *Node) Deployed(tb testing.TB, namespace string, within time.Duration) {
	tb.Helper()
	n.Eventually(tb, within, "the Deployments in "+namespace, func(ctx context.Context) error {
		all := &appsv1.DeploymentList{}
		if err := n.List(ctx, all, client.InNamespace(namespace)); err != nil {
			return err
		}
		for i := range all.Items {
			if err := n.Available(ctx, namespace, all.Items[i].Name); err != nil {
				return err
			}
		}
		return nil
	})
}

// Apply applies manifests with kubectl.
func (n *Node) Apply(ctx context.Context, manifests string) error {
	_, err := n.output(ctx, manifests, "kubectl", "apply", "--server-side", "-f", "-")
	return err
}

// Kubectl runs kubectl as an administrator and returns what it prints.
func (n *Node) Kubectl(tb testing.TB, args ...string) string {
	tb.Helper()
	return n.must(tb, "kubectl", args...)
}

// Helm runs Helm as an administrator and returns what it prints.
func (n *Node) Helm(tb testing.TB, args ...string) string {
	tb.Helper()
	return n.must(tb, "helm", args...)
}

func (n *Node) must(tb testing.TB, program string, args ...string) string {
	tb.Helper()
	out, err := n.output(tb.Context(), "", program, args...)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// output runs a program that tools/build has built, and returns its standard output.
func (n *Node) output(ctx context.Context, input, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(n.bin, program), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+n.Kubeconfig)
	cmd.Stdin = strings.NewReader(input)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(problem.String()))
	}
	return out.String(), nil
}

// Run runs PodImage in a pod of the default namespace until it ends, and returns what it
// printed.
func (n *Node) Run(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	args = append([]string{"run", name, "--image=" + PodImage, "--image-pull-policy=Never", "--restart=Never", "--"}, args...)
	n.Kubectl(tb, args...)
	n.Kubectl(tb, "wait", "pod/"+name, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
	out := n.Kubectl(tb, "logs", name)
	n.Kubectl(tb, "delete", "pod", name, "--now")
	return out
}

// describe returns what says why pods do not run: pods, events, and the end of every log.
func (n *Node) describe() string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var b strings.Builder
	if n.Client != nil {
		for _, args := range [][]string{
			{"get", "pods,deployments,jobs", "-A", "-o", "wide"},
			{"get", "events", "-A", "--sort-by=.lastTimestamp"},
		} {
			out, err := n.output(ctx, "", "kubectl", args...)
			fmt.Fprintf(&b, "kubectl %s:\n%s", strings.Join(args, " "), out)
			if err != nil {
				fmt.Fprintln(&b, err)
			}
		}
	}
	for _, c := range n.started {
		fmt.Fprintf(&b, "the end of the log of %s:\n%s\n", c.name, tail(c.Log()))
	}
	logs, _ := filepath.Glob("/var/log/pods/*/*/*.log")
	for _, file := range logs {
		text, err := os.ReadFile(file)
		if err == nil {
			fmt.Fprintf(&b, "the end of %s:\n%s\n", file, tail(string(text)))
		}
	}
	return b.String()
}

// lastLines are shown of a log.
const lastLines = 20

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > lastLines {
		lines = lines[len(lines)-lastLines:]
	}
	return "  " + strings.Join(lines, "\n  ")
}
