// Command vault is a small HashiCorp Vault for tests: the real core, with the secrets
// engine pki and the auth methods that issuers use (token, approle, kubernetes, cert and
// aws), and nothing else. It has one unseal key, and its API is Vault's.
//
//	vault [-listen 127.0.0.1:0] [-tls-cert FILE -tls-key FILE] [-client-ca FILE] [-data DIR] [-v]
//
// The data is in memory, or with -data in a directory, where it outlives the process.
// With -client-ca, only clients with a certificate of that CA can connect, as with
// Vault's tls_require_and_verify_client_cert; without it, a client certificate is asked
// for and not verified, as is Vault's default.
//
// The program prints lines of JSON. The first one says that Vault answers:
//
//	{"url":"https://127.0.0.1:41234","root_token":"hvs.…","unseal_key":"5f…"}
//
// A new Vault is initialized and unsealed by then. One whose data was there before is
// sealed, and its line has the URL only: a token and a key are told once. Each further
// line is a request that was answered:
//
//	{"method":"POST","path":"/v1/pki/sign/web","namespace":"team","user_agent":"…","status":200}
//
// It ends with SIGTERM or SIGINT, and when its standard input ends, so that it does not
// outlive the program that has started it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type options struct {
	listen            string
	cert, key         string
	clientCA          string
	data              string
	verbose           bool
	input             io.Reader
	output, logOutput io.Writer
}

func main() {
	o := options{input: os.Stdin, output: os.Stdout, logOutput: os.Stderr}
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "address to listen on; port 0 is any that is free")
	flag.StringVar(&o.cert, "tls-cert", "", "file with the certificate and its chain, as PEM; without one, Vault speaks plain HTTP")
	flag.StringVar(&o.key, "tls-key", "", "file with the private key of the certificate, as PEM")
	flag.StringVar(&o.clientCA, "client-ca", "", "file with the CA that clients need a certificate of, as PEM")
	flag.StringVar(&o.data, "data", "", "directory for the data; empty means memory")
	flag.BoolVar(&o.verbose, "v", false, "log what Vault does, on standard error")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

// run serves Vault until ctx or the input ends.
func run(ctx context.Context, o options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, o.input)
		cancel()
	}()
	config, err := tlsConfig(o)
	if err != nil {
		return err
	}
	core, err := newCore(o)
	if err != nil {
		return err
	}
	defer func() { _ = core.Shutdown() }()
	secrets, err := initialize(ctx, core)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	lines := newLines(o.output)
	server := &http.Server{Handler: lines.handler(handlerOf(core)), TLSConfig: config, ErrorLog: quiet(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	secrets.URL = "http://" + listener.Addr().String()
	if config == nil {
		go func() { ended <- server.Serve(listener) }()
	} else {
		secrets.URL = "https://" + listener.Addr().String()
		go func() { ended <- server.ServeTLS(listener, "", "") }()
	}
	lines.print(secrets)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if err := server.Close(); err != nil {
		return err
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
