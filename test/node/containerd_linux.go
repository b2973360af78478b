package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/everleaf/everleaf/test/dnsdaemon"
)

// startContainerd starts containerd and imports the images.
func (n *Node) startContainerd(ctx context.Context, o Options) error {
	config := filepath.Join(directory, "containerd.toml")
	err := errors.Join(
		os.WriteFile(config, []byte(containerdConfig(directory)), 0o600),
		os.WriteFile(filepath.Join(directory, "cni", "pods.conflist"), []byte(cniConfig), 0o600),
	)
	if err != nil {
		return err
	}
	program, err := dnsdaemon.Find("containerd")
	if err != nil {
		return err
	}
	if err := n.run(program, "--config="+config, "--log-level=warn"); err != nil {
		return err
	}
	archives, err := n.images(ctx)
	if err != nil {
		return err
	}
	if err := n.Await(ctx, "containerd", func(ctx context.Context) error { return ctr(ctx, "version") }); err != nil {
		return err
	}
	for _, file := range append(archives, o.Archives...) {
		if err := ctr(ctx, "images", "import", file); err != nil {
			return err
		}
	}
	return nil
}

// images writes the archives of PodImage and CoreDNS.
func (n *Node) images(ctx context.Context) ([]string, error) {
	all := []Image{
		{Name: PodImage, Programs: map[string]string{"/pod": "test/node/pod"}, Entrypoint: []string{"/pod"}},
		{Name: coreDNSImage, Files: map[string]string{"/coredns": filepath.Join(n.bin, "coredns")}, Entrypoint: []string{"/coredns"}},
	}
	var archives []string
	for i, image := range all {
		file := filepath.Join(directory, "images", fmt.Sprintf("%d.tar", i))
		if err := image.build(ctx, file); err != nil {
			return nil, err
		}
		if err := image.Write(file); err != nil {
			return nil, err
		}
		archives = append(archives, file)
	}
	return archives, nil
}

// build builds the image's programs, without C, beside an archive.
func (i *Image) build(ctx context.Context, archive string) error {
	files := maps.Clone(i.Files)
	if files == nil {
		files = map[string]string{}
	}
	for to, pkg := range i.Programs {
		file := archive + "." + filepath.Base(to)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags=grpcnotrace", "-ldflags=-s -w", "-o", file, "github.com/everleaf/everleaf/"+pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if err := command(cmd); err != nil {
			return err
		}
		files[to] = file
	}
	i.Files = files
	return nil
}

func ctr(ctx context.Context, args ...string) error {
	return command(exec.CommandContext(ctx, "ctr", append([]string{"--address", containerdSocket, "--namespace", "k8s.io"}, args...)...))
}

func command(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// connect gives the node its addresses, and its bridge to the packet filter. The route
// is for the API server, which reaches webhooks at addresses of Services.
func connect(ctx context.Context) error {
	for _, address := range []string{Address, Resolver, Authoritative, ACME, Edge, Vendor} {
		if err := command(exec.CommandContext(ctx, "ip", "address", "add", address+"/32", "dev", "lo")); err != nil {
			return err
		}
	}
	if err := command(exec.CommandContext(ctx, "ip", "route", "add", serviceRange, "dev", "lo", "src", Address)); err != nil {
		return err
	}
	const filter = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	if _, err := os.Stat(filter); err != nil {
		if err := command(exec.CommandContext(ctx, "modprobe", "br_netfilter")); err != nil {
			return fmt.Errorf("pods reach Services only if the packet filter sees bridges: %w", err)
		}
	}
	return errors.Join(
		os.WriteFile(filter, []byte("1"), 0o644),
		os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644),
	)
}
