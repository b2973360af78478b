// Command image builds everleaf's container image without a container engine.
//
// It compiles the binary for each architecture, writes an archive and an SBOM for each
// of them and an OCI image layout for all, and can push the image to a registry. The
// result depends on the commit alone, not on the machine: see docs/image.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	repository := flags.String("repository", "../..", "root of the checkout")
	output := flags.String("output", "../../bin/image", "directory of the results")
	architectures := flags.String("arch", "amd64,arm64", "architectures")
	destination := flags.String("push", "", "also push the image there, as REGISTRY/REPOSITORY[:TAG]; the usual tag is the version")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err := checkGo(); err != nil {
		return err
	}
	from, err := readSource(ctx, *repository)
	if err != nil {
		return err
	}
	if from.dirty {
		fmt.Fprintln(out, "the checkout has changes that are not committed: the image's digest is not that of a commit")
		if *destination != "" {
			return errors.New("-push: commit the changes first, so that the image can be built again from its revision")
		}
	}
	built, err := build(ctx, from, strings.Split(*architectures, ","))
	if err != nil {
		return err
	}
	if err := built.write(*output); err != nil {
		return err
	}
	if err := built.describe(out, *output); err != nil {
		return err
	}
	if *destination == "" {
		return nil
	}
	pushed, err := push(ctx, *destination, built)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "pushed %s\n", pushed)
	return nil
}

// build compiles the binary for each architecture and makes the image of it.
func build(ctx context.Context, from source, architectures []string) (release, error) {
	dir, err := os.MkdirTemp("", "everleaf-image-")
	if err != nil {
		return release{}, err
	}
	defer os.RemoveAll(dir)
	var binaries []binary
	for _, architecture := range architectures {
		compiled, err := compile(ctx, from, architecture, dir)
		if err != nil {
			return release{}, err
		}
		binaries = append(binaries, compiled)
	}
	return newRelease(from, binaries)
}
