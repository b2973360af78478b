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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
func (c *creation) addFlags(cmd *cobra.Command, short bool) {
	c.connection.addFlags(cmd)
	flags := cmd.Flags()
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
	case c.certificateFile != "" && unwritable(c.certificateFile) != nil:
		return fmt.Errorf("--output-certificate-file: %w", unwritable(c.certificateFile))
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

// unwritable is why no file can be written at a path: its directory is not there.
func unwritable(file string) error {
	directory := filepath.Dir(file)
	switch info, err := os.Stat(directory); {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", directory)
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

// absent finds out that the cluster can be reached and does not have an object, before a
// key is made for it. Who may create objects may not be allowed to read them. named is
// the object in messages.
func absent(ctx context.Context, cluster client.Client, key client.ObjectKey, object client.Object, named string) error {
	switch err := cluster.Get(ctx, key, object); {
	case err == nil:
		return fmt.Errorf("%s exists already; choose another name", named)
	case apierrors.IsNotFound(err) || apierrors.IsForbidden(err):
		return nil
	default:
		return unreachable(err)
	}
}

// created says that an object was created for the key, or takes the key away again if the
// API server has refused the object. named and where are the object in messages.
func (c *creation) created(named, where string, progress io.Writer, err error) error {
	if err == nil {
		fmt.Fprintf(progress, "%s has been created%s\n", named, where)
		return nil
	}
	err = fmt.Errorf("create %s%s: %w", named, where, err)
	var answered apierrors.APIStatus
	if !errors.As(err, &answered) || answered.Status().Code >= 500 {
		return fmt.Errorf("%w; it may have been created nevertheless: its private key stays in %s", err, c.keyFile)
	}
	if removed := os.Remove(c.keyFile); removed != nil {
		return errors.Join(err, removed)
	}
	fmt.Fprintf(progress, "File %s has been removed again\n", c.keyFile)
	return err
}

// awaitCertificate reads an object until it has a certificate, and stores that. named is
// the object in messages, and get the arguments of kubectl get for it.
func (c *creation) awaitCertificate(ctx context.Context, named, get string, progress io.Writer, read func(context.Context) (byhand.Outcome, error)) error {
	fmt.Fprintf(progress, "%s has not been signed yet. Wait until it is signed...\n", named)
	later := "; the request stays, and has the certificate when it is signed: kubectl get " + get + " -o jsonpath='{.status.certificate}' | base64 -d"
	interrupted := ctx
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ticks := time.NewTicker(pollEvery)
	defer ticks.Stop()
	waitsFor := "it has not been read yet"
	for {
		outcome, err := read(ctx)
		switch {
		case interrupted.Err() != nil:
			return fmt.Errorf("interrupted before %s was signed: %s%s", named, waitsFor, later)
		case ctx.Err() != nil:
			return fmt.Errorf("%s has not been signed in time: %s%s", named, waitsFor, later)
		case err != nil:
			return err
		case outcome.Failure != "":
			return fmt.Errorf("%s will not be signed: %s", named, outcome.Failure)
		case len(outcome.Certificate) > 0:
			fmt.Fprintf(progress, "%s has been signed\n", named)
			if err := os.WriteFile(c.certificateFile, outcome.Certificate, 0o600); err != nil {
				return fmt.Errorf("store the certificate: %w%s", err, later)
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
	c.addFlags(cmd, false)
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

// settleNamespace gives a template the namespace of the flags, unless it has one.
func (c *creation) settleNamespace(crt *cmv1.Certificate, namespace string) error {
	if crt.Namespace == "" {
		crt.Namespace = namespace
	}
	if c.namespaceSet() && crt.Namespace != namespace {
		return fmt.Errorf("the namespace of the Certificate in %s is %q, and -n says %q", c.file, crt.Namespace, namespace)
	}
	return nil
}

func (c *creation) createRequest(ctx context.Context, progress io.Writer, crt *cmv1.Certificate, name string) error {
	cluster, namespace, err := c.client("everleaf-create")
	if err != nil {
		return err
	}
	if err := c.settleNamespace(crt, namespace); err != nil {
		return err
	}
	named, where := "CertificateRequest "+name, " in namespace "+crt.Namespace
	if err := absent(ctx, cluster, client.ObjectKey{Namespace: crt.Namespace, Name: name}, &cmv1.CertificateRequest{}, named+where); err != nil {
		return err
	}
	csr, err := c.request(crt, progress)
	if err != nil {
		return err
	}
	request := byhand.Request(crt, name, csr)
	if err := c.created(named, where, progress, cluster.Create(ctx, request)); err != nil || !c.fetch {
		return err
	}
	return c.awaitCertificate(ctx, named+where, "certificaterequest "+name+" -n "+request.Namespace, progress, func(ctx context.Context) (byhand.Outcome, error) {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(request), request); err != nil {
			return byhand.Outcome{}, unread(cmv1.CertificateRequestKind, request.Namespace, name, err)
		}
		return byhand.OutcomeOf(request), nil
	})
}
