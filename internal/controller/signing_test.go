package controller

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/facts"
	"github.com/everleaf/everleaf/internal/fault"
	"github.com/everleaf/everleaf/internal/issuer"
	core "github.com/everleaf/everleaf/internal/lifecycle/request"
)

// otherType is the type ca, which remembers issuers too.
type otherType struct{ signerType }

func (*otherType) Name() facts.IssuerType { return facts.IssuerCA }

// signerType is an issuer type, vault, that signs with do.
type signerType struct {
	do     func() error
	forgot []types.UID
}

func (*signerType) Name() facts.IssuerType            { return facts.IssuerVault }
func (*signerType) Secrets(*cmv1.IssuerSpec) []string { return nil }
func (s *signerType) Forget(uid types.UID)            { s.forgot = append(s.forgot, uid) }
func (*signerType) Check(context.Context, issuer.Issuer) (issuer.Status, error) {
	return issuer.Status{}, nil
}

func (s *signerType) Sign(context.Context, issuer.Request) (core.Outcome, error) {
	return core.Outcome{}, s.do()
}

func TestSigners(t *testing.T) {
	now := time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)
	refused := fault.New(fault.Transient, "VaultInitError", "refused").Because(issuer.ErrRefused)
	down := errors.New("down")
	for name, test := range map[string]struct {
		// global has a ClusterIssuer sign.
		global bool
		// during happens while the issuer signs.
		during  func(context.Context, client.Client, client.Object) error
		err     error
		suspect bool
		forgot  []types.UID
	}{
		"signs":                  {},
		"signs, ClusterIssuer":   {global: true},
		"down":                   {err: down},
		"refused":                {err: refused, suspect: true},
		"refused, ClusterIssuer": {global: true, err: refused, suspect: true},
		"deleted": {during: func(ctx context.Context, c client.Client, o client.Object) error {
			return c.Delete(ctx, o)
		}, err: refused, suspect: true, forgot: []types.UID{"1"}},
		"ClusterIssuer deleted": {global: true, during: func(ctx context.Context, c client.Client, o client.Object) error {
			return c.Delete(ctx, o)
		}, forgot: []types.UID{"1"}},
		"being deleted": {during: func(ctx context.Context, c client.Client, o client.Object) error {
			o.SetFinalizers([]string{"example.com/finalizer"})
			return errors.Join(c.Update(ctx, o), c.Delete(ctx, o))
		}, forgot: []types.UID{"1"}},
		"another one of the name": {during: func(ctx context.Context, c client.Client, o client.Object) error {
			other := o.DeepCopyObject().(client.Object)
			other.SetUID("2")
			other.SetResourceVersion("")
			return errors.Join(c.Delete(ctx, o), c.Create(ctx, other))
		}, forgot: []types.UID{"1"}},
		"of another type by now": {during: func(ctx context.Context, c client.Client, o client.Object) error {
			changed := o.DeepCopyObject().(*cmv1.Issuer)
			changed.Spec.Vault, changed.Spec.CA = nil, &cmv1.CAIssuer{}
			return c.Update(ctx, changed)
		}, forgot: []types.UID{"1"}},
		"of another server by now": {during: func(ctx context.Context, c client.Client, o client.Object) error {
			changed := o.DeepCopyObject().(*cmv1.Issuer)
			changed.Spec.Vault.Server = "https://other.example"
			return c.Update(ctx, changed)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var of cmv1.GenericIssuer = &cmv1.Issuer{}
			if test.global {
				of = &cmv1.ClusterIssuer{}
			} else {
				of.SetNamespace("app")
			}
			of.SetName("i")
			of.SetUID("1")
			of.GetSpec().Vault = &cmv1.VaultIssuer{}
			scheme := runtime.NewScheme()
			if err := cmv1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(of).Build()
			signer := &signerType{do: func() error {
				if test.during != nil {
					if err := test.during(t.Context(), c, of.DeepCopyObject().(client.Object)); err != nil {
						t.Fatal(err)
					}
				}
				return test.err
			}}
			other := &otherType{}
			var news Topic[IssuerNews]
			var heard []IssuerNews
			news.Subscribe(func(_ context.Context, n IssuerNews) { heard = append(heard, n) })
			signers := Signers{Types: &issuer.Registry{signer, other}, Issuers: cluster.NewIssuers(c, "cert-manager"), Suspected: &news, Clock: clocktesting.NewFakePassiveClock(now)}
			if _, err := signers.Sign(t.Context(), of, issuer.Request{Issuer: of.GetSpec()}); !errors.Is(err, test.err) {
				t.Errorf("error %v", err)
			}
			if test.suspect != (len(heard) == 1 && heard[0].Issuer == of && heard[0].At.Equal(now)) {
				t.Errorf("news %v", heard)
			}
			if diff := cmp.Diff(test.forgot, signer.forgot); diff != "" {
				t.Errorf("forgotten (-want +got):\n%s", diff)
			}
			if len(other.forgot) > 0 {
				t.Errorf("the other type, which the issuer may be of by now, has forgotten %q", other.forgot)
			}
		})
	}
}

// TestSuspicions has an issuer refused again and again: it is checked at once, and then every
// half a minute.
func TestSuspicions(t *testing.T) {
	start := time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)
	clock := clocktesting.NewFakePassiveClock(start)
	var news Topic[IssuerNews]
	var heard []time.Duration
	news.Subscribe(func(_ context.Context, n IssuerNews) { heard = append(heard, n.At.Sub(start)) })
	s := Signers{Suspected: &news, Clock: clock}
	of := &cmv1.Issuer{}
	of.UID = "1"
	for _, at := range []time.Duration{0, 0, 1, 29, 30, 31, 59, 61, 200} {
		clock.SetTime(start.Add(at * time.Second))
		s.suspect(t.Context(), of)
	}
	other := &cmv1.Issuer{}
	other.UID = "2"
	s.suspect(t.Context(), other)
	want := []time.Duration{0, 30 * time.Second, time.Minute, 90 * time.Second, 200 * time.Second, 200 * time.Second}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
	if len(s.checks) != 2 {
		t.Errorf("%d issuers are remembered", len(s.checks))
	}
}
