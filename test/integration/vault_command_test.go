package integration

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
)

// vaultCommandName is the name by which this test program stands for Vault's command.
const vaultCommandName = "vault"

// vaultCommandEnv is the environment variable with the path of Vault's own command, which
// is too large to be built for a test: 190 MB, of 2000 packages.
const vaultCommandEnv = "EVERLEAF_VAULT_COMMAND"

// newVaultCommand returns a directory with the command vault: that of $EVERLEAF_VAULT_COMMAND
// if that is set, or else this program.
func newVaultCommand(t *testing.T) (dir string) {
	t.Helper()
	program, err := os.Executable()
	if path := os.Getenv(vaultCommandEnv); path != "" {
		program, err = filepath.Abs(path)
	}
	if err == nil {
		dir = t.TempDir()
		err = os.Symlink(program, filepath.Join(dir, vaultCommandName))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// vaultCommand does what Vault's command of the same arguments does, for those that the
// documentation has. It asks the server of VAULT_ADDR as VAULT_TOKEN says.
func vaultCommand(args []string, in io.Reader, out io.Writer) error {
	client, err := api.NewClient(api.DefaultConfig())
	if err != nil {
		return err
	}
	for _, command := range vaultCommands {
		words := strings.Fields(command.words)
		if len(args) < len(words) || !slices.Equal(args[:len(words)], words) {
			continue
		}
		c := &vaultCall{client: client, in: in, out: out, flags: flag.NewFlagSet(command.words, flag.ContinueOnError)}
		c.field = c.flags.String("field", "", "")
		run := command.prepare(c)
		if err := c.flags.Parse(args[len(words):]); err != nil {
			return err
		}
		if n := c.flags.NArg(); n < command.least || n > command.most {
			return fmt.Errorf("%s with %d arguments", command.words, n)
		}
		return run(c.flags.Args())
	}
	return fmt.Errorf("no command %q", args)
}

// vaultCall is one call of the command.
type vaultCall struct {
	client *api.Client
	in     io.Reader
	out    io.Writer
	flags  *flag.FlagSet
	field  *string
}

var vaultCommands = []struct {
	words       string
	least, most int
	// prepare defines the flags and returns what is done once they are read.
	prepare func(*vaultCall) func(args []string) error
}{
	{"read", 1, 1, (*vaultCall).read},
	{"write", 1, 100, (*vaultCall).write},
	{"secrets enable", 1, 1, (*vaultCall).enableSecrets},
	{"auth enable", 1, 1, (*vaultCall).enableAuth},
	{"policy write", 2, 2, (*vaultCall).writePolicy},
	{"token create", 0, 0, (*vaultCall).createToken},
	{"token renew", 0, 0, (*vaultCall).renewToken},
}

func (c *vaultCall) read() func([]string) error {
	return func(args []string) error {
		answer, err := c.client.Logical().Read(args[0])
		return c.print(answer, err)
	}
}

func (c *vaultCall) write() func([]string) error {
	force := c.flags.Bool("f", false, "")
	return func(args []string) error {
		if len(args) == 1 && !*force {
			return errors.New("must supply data or use -force")
		}
		data := map[string]any{}
		for _, arg := range args[1:] {
			name, value, given := strings.Cut(arg, "=")
			if _, twice := data[name]; !given || twice {
				return fmt.Errorf("%q is no setting, or is given twice", arg)
			}
			if file, isFile := strings.CutPrefix(value, "@"); isFile {
				content, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				value = string(content)
			}
			data[name] = value
		}
		answer, err := c.client.Logical().Write(args[0], data)
		return c.print(answer, err)
	}
}

func (c *vaultCall) enableSecrets() func([]string) error {
	path, most := c.flags.String("path", "", ""), c.flags.Duration("max-lease-ttl", 0, "")
	return func(args []string) error {
		return c.client.Sys().Mount(*path, &api.MountInput{Type: args[0], Config: api.MountConfigInput{MaxLeaseTTL: most.String()}})
	}
}

func (c *vaultCall) enableAuth() func([]string) error {
	return func(args []string) error {
		return c.client.Sys().EnableAuthWithOptions(args[0], &api.EnableAuthOptions{Type: args[0]})
	}
}

func (c *vaultCall) writePolicy() func([]string) error {
	return func(args []string) error {
		if args[1] != "-" {
			return fmt.Errorf("a policy in a file: %s", args[1])
		}
		rules, err := io.ReadAll(c.in)
		if err != nil {
			return err
		}
		return c.client.Sys().PutPolicy(args[0], string(rules))
	}
}

func (c *vaultCall) createToken() func([]string) error {
	orphan, period, policy := c.flags.Bool("orphan", false, ""), c.flags.Duration("period", 0, ""), c.flags.String("policy", "", "")
	return func([]string) error {
		renewable := true
		answer, err := c.client.Auth().Token().Create(&api.TokenCreateRequest{
			Policies: []string{*policy}, NoParent: *orphan, Period: period.String(), Renewable: &renewable,
		})
		return c.print(answer, err)
	}
}

func (c *vaultCall) renewToken() func([]string) error {
	return func([]string) error {
		answer, err := c.client.Auth().Token().RenewSelf(0)
		return c.print(answer, err)
	}
}

// print prints the field of an answer that is asked for.
func (c *vaultCall) print(answer *api.Secret, err error) error {
	if err != nil || *c.field == "" {
		return err
	}
	value := any(nil)
	switch {
	case answer == nil:
	case *c.field == "token" && answer.Auth != nil:
		value = answer.Auth.ClientToken
	default:
		value = answer.Data[*c.field]
	}
	if value == nil {
		return fmt.Errorf("field %q not present in secret", *c.field)
	}
	_, err = fmt.Fprint(c.out, value)
	return err
}
