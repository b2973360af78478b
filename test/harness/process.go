package harness

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// BinaryEnv is the environment variable with the path of an existing everleaf
// binary.
const BinaryEnv = "EVERLEAF_BINARY"

// Build builds the program for a test and returns its path. If $EVERLEAF_BINARY
// is set, Build returns that.
func Build(tb testing.TB) string {
	tb.Helper()
	if path := os.Getenv(BinaryEnv); path != "" {
		return path
	}
	path := filepath.Join(tb.TempDir(), "everleaf")
	args := []string{"build", "-o", path}
	if _, file, _, _ := runtime.Caller(0); !filepath.IsAbs(file) {
		// The tests were built with -trimpath, so the packages are in the build
		// cache.
		args = append(args, "-trimpath")
	}
	out, err := exec.Command("go", append(args, "github.com/everleaf/everleaf/cmd/everleaf")...).CombinedOutput()
	if err != nil {
		tb.Fatalf("build everleaf: %v\n%s", err, out)
	}
	return path
}

// Process is a process with the controllers.
type Process struct {
	cmd    *exec.Cmd
	done   chan struct{}
	output *bytes.Buffer
}

// Process starts the controllers from a program, with more arguments. The
// process ends with the test.
func (c *Cluster) Process(tb testing.TB, program string, args ...string) *Process {
	tb.Helper()
	config, err := c.ControllerConfig()
	if err != nil {
		tb.Fatal(err)
	}
	return Replica(tb, program, config, args...)
}

// Replica is Process with another connection to the API server.
func Replica(tb testing.TB, program string, config *rest.Config, args ...string) *Process {
	tb.Helper()
	kubeconfig := Kubeconfig(tb, config)
	args = append([]string{
		"controller", "--kubeconfig=" + kubeconfig, "--leader-elect=false", "--metrics-listen-address=0",
		"--internal-healthz-listen-address=0", "--cluster-resource-namespace=cert-manager",
	}, args...)
	p := &Process{done: make(chan struct{}), output: &bytes.Buffer{}}
	p.cmd = exec.CommandContext(context.Background(), program, args...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	tb.Cleanup(func() { p.Kill() })
	return p
}

// Kill ends the process with SIGKILL, if it still runs, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Terminate asks the process to end, with SIGTERM, and does not wait.
func (p *Process) Terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.done }

// Output returns what the process has printed. It is complete after Ended.
func (p *Process) Output() string { return p.output.String() }

// Kubeconfig writes a file with which commands reach a cluster.
func Kubeconfig(tb testing.TB, config *rest.Config) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "kubeconfig")
	if err := writeKubeconfig(path, config); err != nil {
		tb.Fatal(err)
	}
	return path
}

func writeKubeconfig(path string, config *rest.Config) error {
	file := clientcmdapi.NewConfig()
	file.Clusters["test"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos["test"] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	file.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test"}
	file.CurrentContext = "test"
	return clientcmd.WriteToFile(*file, path)
}
