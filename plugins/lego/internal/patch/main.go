// Command patch makes the lego that the plugin is built with: a copy of the module in
// .build/lego, without its tests, in which three functions look for a record in the
// context first (see package record), and .build/go.mod, which says to use it:
//
//	go run ./internal/patch
//	go build -modfile=.build/go.mod .
//
// A copy is needed since Go lets nobody replace a file of a module in its cache. The
// command fails if lego's functions are not those that it knows.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	module = "github.com/go-acme/lego/v5"
	build  = ".build"
	target = build + "/lego"
)

// change inserts text after the only occurrence of another in a file.
type change struct{ file, after, insert string }

const importRecord = "\n\t\"github.com/everleaf/everleaf/plugins/lego/record\""

var changes = []change{
	{"challenge/dns01/dns_challenge.go", "\n\t\"github.com/miekg/dns\"", importRecord},
	{
		"challenge/dns01/dns_challenge.go",
		"\nfunc GetChallengeInfo(ctx context.Context, domain, keyAuth string) ChallengeInfo {\n",
		"\tif r, ok := record.From(ctx); ok {\n\t\treturn ChallengeInfo{Value: r.Value, FQDN: r.FQDN, EffectiveFQDN: r.FQDN, Prefix: challengeLabel}\n\t}\n\n",
	},
	{"challenge/dns01/client.go", "\n\t\"github.com/go-acme/lego/v5/challenge/internal\"", importRecord},
	{
		"challenge/dns01/client.go",
		"\nfunc (c *Client) FindZoneByFqdn(ctx context.Context, fqdn string) (string, error) {\n",
		"\tif zone, ok := record.ZoneOf(ctx, fqdn); ok {\n\t\treturn zone, nil\n\t}\n\n",
	},
	{
		"challenge/dns01/client.go",
		"\nfunc (c *Client) FindZoneByFqdnCustom(ctx context.Context, fqdn string, nameservers []string) (string, error) {\n",
		"\tif zone, ok := record.ZoneOf(ctx, fqdn); ok {\n\t\treturn zone, nil\n\t}\n\n",
	},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "patch:", err)
		os.Exit(1)
	}
}

func run() error {
	if _, err := os.Stat("record/record.go"); err != nil {
		return errors.New("run it in plugins/lego")
	}
	source, err := output("list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return err
	}
	if source == "" {
		if _, err := output("mod", "download", module); err != nil {
			return err
		}
		if source, err = output("list", "-m", "-f", "{{.Dir}}", module); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	if err := copySources(source); err != nil {
		return err
	}
	for _, c := range changes {
		if err := c.apply(); err != nil {
			return err
		}
	}
	return writeModule()
}

// output returns what the go command prints.
func output(args ...string) (string, error) {
	out, err := exec.Command("go", args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// copySources copies what is compiled, and what says whose it is.
func copySources(source string) error {
	return filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			switch entry.Name() {
			case "docs", "e2e", "fixtures", "testdata", ".github":
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(target, name), 0o755)
		}
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".toml") || strings.HasSuffix(name, ".md") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(target, name), content, 0o644)
	})
}

func (c change) apply() error {
	path := filepath.Join(target, c.file)
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n := bytes.Count(content, []byte(c.after)); n != 1 {
		return fmt.Errorf("%s of %s has the text %q %d times instead of once: lego has changed, so look at what it does now and at package record", c.file, module, strings.TrimSpace(c.after), n)
	}
	return os.WriteFile(path, bytes.Replace(content, []byte(c.after), []byte(c.after+c.insert), 1), 0o644)
}

// writeModule writes the module's files with the replacement.
func writeModule() error {
	content, err := os.ReadFile("go.mod")
	if err != nil {
		return err
	}
	content = append(content, fmt.Sprintf("\nreplace %s => ./%s\n", module, target)...)
	if err := os.WriteFile(filepath.Join(build, "go.mod"), content, 0o644); err != nil {
		return err
	}
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(build, "go.sum"), sums, 0o644)
}
