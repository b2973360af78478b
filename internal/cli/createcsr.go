package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/byhand"
)

func newCreateCSRCommand() *cobra.Command {
	var c creation
	cmd := &cobra.Command{
		Use: "certificatesigningrequest NAME -f FILE", Aliases: []string{"csr"}, Short: "Create a CertificateSigningRequest of Kubernetes with a new private key",
		Long: `Makes a private key, stores it in a file, and creates a CertificateSigningRequest
(certificates.k8s.io) for a Certificate in a file, whose issuer becomes the signer.
Somebody has to approve it: kubectl certificate approve NAME. The controllers sign it
if they run with --feature-gates=ExperimentalCertificateSigningRequestControllers=true.`,
		Example: `  everleaf experimental create certificatesigningrequest www -f certificate.yaml -w`,
		Args:    oneName("CertificateSigningRequest"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	c.addFlags(cmd, true)
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
		return c.createCSR(cmd.Context(), cmd.OutOrStdout(), crt, args[0])
	}
	return cmd
}

func (c *creation) createCSR(ctx context.Context, progress io.Writer, crt *cmv1.Certificate, name string) error {
	cluster, namespace, err := c.client("everleaf-create")
	if err != nil {
		return err
	}
	if err := c.settleNamespace(crt, namespace); err != nil {
		return err
	}
	named := "CertificateSigningRequest " + name
	if err := absent(ctx, cluster, client.ObjectKey{Name: name}, &certificatesv1.CertificateSigningRequest{}, named); err != nil {
		return err
	}
	ref := crt.Spec.IssuerRef.WithDefaults()
	mapping, err := cluster.RESTMapper().RESTMapping(schema.GroupKind{Group: ref.Group, Kind: ref.Kind})
	if err != nil {
		return fmt.Errorf("find the signer of issuerRef: the cluster does not know the kind %s of the group %s: %w", ref.Kind, ref.Group, err)
	}
	signer := byhand.SignerName(mapping.Resource.GroupResource(), mapping.Scope.Name() == meta.RESTScopeNameNamespace, crt.Namespace, ref.Name)
	pem, err := c.request(crt, progress)
	if err != nil {
		return err
	}
	csr := byhand.SigningRequest(crt, name, signer, pem)
	if err := c.created(named, "", progress, cluster.Create(ctx, csr)); err != nil || !c.fetch {
		return err
	}
	return c.awaitCertificate(ctx, named, "csr "+name, progress, func(ctx context.Context) (byhand.Outcome, error) {
		found := &certificatesv1.CertificateSigningRequest{}
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(csr), found); err != nil {
			return byhand.Outcome{}, unread("CertificateSigningRequest", "", name, err)
		}
		return byhand.OutcomeOfSigning(found), nil
	})
}
