package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/go-acme/lego/v5/challenge"

	"github.com/everleaf/everleaf/plugins/lego/internal/catalog"
	"github.com/everleaf/everleaf/plugins/lego/record"
)

// Main runs a provider in this process until standard input ends, and returns the exit
// status.
func Main(code string) int {
	out := os.NewFile(answers, "answers")
	if out == nil {
		fmt.Fprintf(os.Stderr, "this is for the plugin itself: %s %s\n", Argument, code)
		return 2
	}
	if err := serve(os.Stdin, out, func() (challenge.Provider, error) { return construct(code) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func construct(code string) (p challenge.Provider, err error) {
	defer func() { err = recovered(recover(), err) }()
	provider, found := catalog.Find(code)
	if !found || !provider.Built() {
		return nil, fmt.Errorf("no provider %q", code)
	}
	return provider.New()
}

// serve makes a provider and has it do what it reads, one call at a time: as lego does,
// since some providers read and write whole zones.
func serve(in io.Reader, out io.Writer, construct func() (challenge.Provider, error)) error {
	encoder, decoder := json.NewEncoder(out), json.NewDecoder(in)
	provider, err := construct()
	if err := encoder.Encode(answerOf(err)); err != nil {
		return err
	}
	if err != nil {
		return nil
	}
	for {
		c := call{}
		if err := decoder.Decode(&c); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := encoder.Encode(answerOf(perform(provider, c))); err != nil {
			return err
		}
	}
}

func answerOf(err error) answer {
	if err == nil {
		return answer{}
	}
	// The pool cuts texts where they are, after it has removed the secrets: here only
	// bodies of servers are cut that would fill its memory.
	if text := cut(err.Error(), maxAnswer); text != "" {
		return answer{Error: text}
	}
	return answer{Error: fmt.Sprintf("an error without a text (%T)", err)}
}

func perform(p challenge.Provider, c call) (err error) {
	defer func() { err = recovered(recover(), err) }()
	ctx, cancel := context.WithTimeout(context.Background(), c.Patience)
	defer cancel()
	r := record.Record{FQDN: c.FQDN, Zone: c.Zone, Value: c.Value}
	ctx = record.With(ctx, r)
	// Providers take the token for the name of a record in their memory, so it is the
	// same for both calls. The key authorization has no meaning: the value is r's.
	sum := sha256.Sum256([]byte(c.FQDN + " " + c.Value))
	token := hex.EncodeToString(sum[:])
	if c.CleanUp {
		return p.CleanUp(ctx, r.Domain(), token, token)
	}
	return p.Present(ctx, r.Domain(), token, token)
}

// recovered makes an error of a panic. Its value may contain secrets, unless it comes
// from the Go runtime.
func recovered(value any, err error) error {
	switch v := value.(type) {
	case nil:
		return err
	case runtime.Error:
		return fmt.Errorf("lego's provider panicked: %w", v)
	default:
		return fmt.Errorf("lego's provider panicked with a %T", v)
	}
}
