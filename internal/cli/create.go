package cli

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/byhand"
	"github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/oldapi"
	"github.com/everleaf/everleaf/internal/pki"
)

func newCreateCommand() *cobra.Command {
	cmd := kindCommand("create", "Create an object that asks for a certificate", "certificaterequest NAME")
	cmd.AddCommand(newCreateRequestCommand())
	return cmd
}

// kindCommand is a command that only has commands, for the kinds that it names.
func kindCommand(verb, short, kinds string) *cobra.Command {
	return &cobra.Command{
		Use: verb, Short: short, Args: cobra.ArbitraryArgs,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s what? There is: %s", verb, kinds)
			}
			return fmt.Errorf("%s: there is no %q; there is: %s", verb, args[0], kinds)
		},
	}
}

// creation are the flags of the commands that make a key and ask for a certificate.
type creation struct {
	connection
	file, keyFile, certificateFile string
	fetch                          bool
	timeout                        time.Duration
}

// addFlags adds the flags. short says whether they have short forms.
func (c *creation) addFlags(flags *pflag.FlagSet, short bool) {
	c.connection.addFlags(flags)
	letter := func(s string) string {
		if !short {
			return ""
		}
		return s
	}
	flags.StringVarP(&c.file, "from-certificate-file", letter("f"), "", "file with one Certificate, of v1 or an older version, as the template")
	flags.StringVarP(&c.keyFile, "output-key-file", letter("k"), "", "file for the private key (default NAME.key)")
	flags.StringVarP(&c.certificateFile, "output-certificate-file", letter("c"), "", "with --fetch-certificate: file for the certificate (default NAME.crt)")
	flags.BoolVarP(&c.fetch, "fetch-certificate", letter("w"), false, "wait for the certificate, and store it in a file")
	flags.DurationVar(&c.timeout, "timeout", 5*time.Minute, "with --fetch-certificate: how long to wait")
}

// check completes the flags for an object's name, and refuses wrong ones.
func (c *creation) check(name string) error {
	switch {
	case c.file == "":
		return errors.New("the path to a YAML manifest of a Certificate resource cannot be empty, please specify by using --from-certificate-file flag")
	case c.certificateFile != "" && !c.fetch:
		return errors.New("cannot specify file to store certificate if not waiting for and fetching certificate, please set --fetch-certificate flag")
	case c.fetch && c.timeout <= 0:
		return fmt.Errorf("--timeout: must be greater than 0, not %s", c.timeout)
	}
	if c.keyFile == "" {
		c.keyFile = name + ".key"
	}
	if c.certificateFile == "" {
		c.certificateFile = name + ".crt"
	}
	if c.fetch && filepath.Clean(c.keyFile) == filepath.Clean(c.certificateFile) {
		return errors.New("the file to store private key cannot be the same as the file to store certificate")
	}
	return nil
}

// template reads the Certificate.
func (c *creation) template() (*cmv1.Certificate, error) {
	objects, _, err := (&manifests{files: []string{c.file}}).read()
	if err != nil {
		return nil, fmt.Errorf("--from-certificate-file: %w", err)
	}
	if len(objects) != 1 {
		return nil, fmt.Errorf("--from-certificate-file: %s has %d objects, and must have one Certificate", c.file, len(objects))
	}
	object := objects[0]
	if kind := object.GetKind(); kind != cmv1.CertificateKind || !oldapi.Known(object.Object) {
		return nil, fmt.Errorf("--from-certificate-file: %s has a %s of %s, and must have a Certificate of %s", c.file, kind, object.GetAPIVersion(), oldapi.Group)
	}
	if err := oldapi.Convert(object.Object); err != nil {
		return nil, fmt.Errorf("--from-certificate-file: %s: %w", c.file, err)
	}
	crt := &cmv1.Certificate{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, crt, true); err != nil {
		return nil, fmt.Errorf("--from-certificate-file: %s: %w", c.file, err)
	}
	return crt, nil
}

// request makes a key for a template, stores it, and returns a signed PKCS #10 request.
func (c *creation) request(crt *cmv1.Certificate, progress io.Writer) ([]byte, error) {
	key, err := pki.GenerateKey(certificate.KeySpecOf(&crt.Spec))
	if err != nil {
		return nil, fmt.Errorf("generate the private key: %w", err)
	}
	csr, err := pki.BuildRequest(certificate.TemplateOf(&crt.Spec), key, pki.DefaultLimits)
	if err != nil {
		return nil, fmt.Errorf("build the request: %w", err)
	}
	if err := c.storeKey(key, certificate.EncodingOf(&crt.Spec)); err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "Private key written to file %s\n", c.keyFile)
	return csr, nil
}

// storeKey writes the key into a new file that only its owner can read: an older key is
// never replaced.
func (c *creation) storeKey(key crypto.Signer, encoding pki.Encoding) error {
	text, err := pki.EncodeKey(key, encoding)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(c.keyFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("store the private key: %w; --output-key-file names another file", err)
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("store the private key: %w", err)
	}
	return nil
}

// awaitCertificate reads an object until it has a certificate, and stores that. named is
// the object in messages.
func (c *creation) awaitCertificate(ctx context.Context, named string, progress io.Writer, read func(context.Context) (byhand.Outcome, error)) error {
	fmt.Fprintf(progress, "%s has not been signed yet. Wait until it is signed...\n", named)
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ticks := time.NewTicker(pollEvery)
	defer ticks.Stop()
	waitsFor := "it has not been read yet"
	for {
		outcome, err := read(ctx)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%s has not been signed in time: %s", named, waitsFor)
		case err != nil:
			return err
		case outcome.Failure != "":
			return fmt.Errorf("%s will not be signed: %s", named, outcome.Failure)
		case len(outcome.Certificate) > 0:
			fmt.Fprintf(progress, "%s has been signed\n", named)
			if err := os.WriteFile(c.certificateFile, outcome.Certificate, 0o600); err != nil {
				return fmt.Errorf("store the certificate: %w", err)
			}
			fmt.Fprintf(progress, "Certificate written to file %s\n", c.certificateFile)
			return nil
		}
		waitsFor = outcome.WaitsFor
		select {
		case <-ctx.Done():
		case <-ticks.C:
		}
	}
}

func newCreateRequestCommand() *cobra.Command {
	var c creation
	cmd := &cobra.Command{
		Use: "certificaterequest NAME --from-certificate-file FILE", Aliases: []string{"cr"}, Short: "Create a CertificateRequest with a new private key",
		Long: `Makes a private key, stores it in a file, and creates a CertificateRequest for a
Certificate in a file. The Certificate itself is not created: nothing renews what is
issued. The namespace is that of the file, else that of -n.`,
		Example: `  everleaf create certificaterequest www --from-certificate-file certificate.yaml --fetch-certificate`,
		Args:    oneName(cmv1.CertificateRequestKind), ValidArgsFunction: cobra.NoFileCompletions,
	}
	c.addFlags(cmd.Flags(), false)
	startLog := addQuietLogging(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := c.check(args[0]); err != nil {
			return err
		}
		if err := startLog(); err != nil {
			return err
		}
		crt, err := c.template()
		if err != nil {
			return err
		}
		return c.createRequest(cmd.Context(), cmd.ErrOrStderr(), crt, args[0])
	}
	return cmd
}

func (c *creation) createRequest(ctx context.Context, progress io.Writer, crt *cmv1.Certificate, name string) error {
	cluster, namespace, err := c.client("everleaf-create")
	if err != nil {
		return err
	}
	if crt.Namespace == "" {
		crt.Namespace = namespace
	}
	csr, err := c.request(crt, progress)
	if err != nil {
		return err
	}
	request := byhand.Request(crt, name, csr)
	if err := cluster.Create(ctx, request); err != nil {
		return fmt.Errorf("create CertificateRequest %q in namespace %q: %w", name, request.Namespace, err)
	}
	fmt.Fprintf(progress, "CertificateRequest %s has been created in namespace %s\n", name, request.Namespace)
	if !c.fetch {
		return nil
	}
	named := fmt.Sprintf("CertificateRequest %s in namespace %s", name, request.Namespace)
	return c.awaitCertificate(ctx, named, progress, func(ctx context.Context) (byhand.Outcome, error) {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(request), request); err != nil {
			return byhand.Outcome{}, unread(cmv1.CertificateRequestKind, request.Namespace, name, err)
		}
		return byhand.OutcomeOf(request), nil
	})
}
