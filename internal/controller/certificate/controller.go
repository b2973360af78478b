// Package certificate reconciles Certificates: it loads what decides, has
// package lifecycle/certificate decide, and carries the actions out.
package certificate

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
	"github.com/everleaf/everleaf/internal/cluster"
	"github.com/everleaf/everleaf/internal/controller"
	"github.com/everleaf/everleaf/internal/facts"
	core "github.com/everleaf/everleaf/internal/lifecycle/certificate"
	"github.com/everleaf/everleaf/internal/pki"
	"github.com/everleaf/everleaf/internal/plan"
)

// Config is how Certificates are treated.
type Config struct {
	Backoff plan.Backoff
	// OwnSecrets makes Certificates the owners of their Secrets
	// (--enable-certificate-owner-ref).
	OwnSecrets bool
	// CopiedAnnotations are the prefixes of --copied-annotation-prefixes.
	CopiedAnnotations []string
	// Spread is how much later than due a renewal may begin.
	Spread time.Duration
	// RenewalInformation has the advice of CAs decide when certificates are renewed
	// (RFC 9773).
	RenewalInformation bool
	// Serves reports whether this process, or another one, answers the requests for
	// issuers of a type. Nil means all types.
	Serves func(facts.IssuerType) bool
	// LeaveApproval leaves the approval of requests to others altogether.
	LeaveApproval bool
	Limits        pki.Limits
}

// Deps is what the controller needs.
type Deps struct {
	// Cache reads Certificates.
	Cache    client.Reader
	Secrets  *cluster.Secrets
	Requests *cluster.Requests
	Orders   *cluster.Orders
	Answers  *cluster.Answers
	Issuers  *cluster.Issuers
	Approval *cluster.Approval
	Identity *cluster.Identity
	Server   *cluster.Server
	Keys     *pki.KeyPool
	Clock    clock.WithTicker
}

// Controller keeps Certificates issued.
type Controller struct {
	Deps
	config Config
	driver *controller.Driver[*cmv1.Certificate, cmv1.CertificateStatus]
	memory controller.Memory[memory]
	// keystores are those in the Secrets, of Certificates that want any.
	keystores controller.Memory[core.KeystoreCheck]
	// issuances are those of late that nobody has asked for. They outlast the
	// issuance and its request.
	issuances controller.Memory[facts.Row]
	// started is when the first Certificate was looked at: a process may have
	// waited long for its lease.
	started func() time.Time
}

// New returns a Controller. All of d is needed.
func New(d Deps, config Config, failed func()) (*Controller, error) {
	if err := controller.Complete(d); err != nil {
		return nil, err
	}
	c := &Controller{Deps: d, config: config, started: sync.OnceValue(d.Clock.Now)}
	c.driver = controller.NewDriver(c, controller.Settings[*cmv1.Certificate, cmv1.CertificateStatus]{
		Kind: cmv1.CertificateKind, Manager: core.ManagerIssuing,
		New:    func() *cmv1.Certificate { return &cmv1.Certificate{} },
		Status: func(o *cmv1.Certificate) *cmv1.CertificateStatus { return &o.Status },
		API:    d.Server, Clock: d.Clock, Failed: failed,
	})
	return c, nil
}

// memory is what this process knows of an issuance and does not store: a private
// key on its way into a Secret.
type memory struct {
	// keyName is the name of the Secret that the key has, or will get.
	keyName           string
	absentAt, begunAt time.Time

	// request is the one that was made last; requests, keys and temporaries count
	// those that were made and stored for a generation of the spec.
	request                     types.UID
	requests, keys, temporaries int
	generation                  int64
	// failedAttempts is for the annotation of the next request.
	failedAttempts int

	// mu guards what follows, which key generation writes; all else belongs to
	// the one reconcile of the object that runs.
	mu        sync.Mutex
	key       crypto.Signer
	createdAt time.Time
	// job makes a key, nil if none is being made.
	job *job
}

// job is a key that is being made.
type job struct {
	spec   pki.KeySpec
	since  time.Time
	cancel context.CancelFunc
}

// held returns the private key in memory and when it was made.
func (m *memory) held() (key crypto.Signer, createdAt time.Time) {
	if m == nil {
		return nil, time.Time{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.key, m.createdAt
}

// hold keeps a private key, and ends the making of another.
func (m *memory) hold(key crypto.Signer, now time.Time) {
	m.abandon()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.key, m.createdAt = key, now
}

// begin notes that a key is being made.
func (m *memory) begin(j *job) {
	m.abandon()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.job = j
}

// end takes the key that a job has made, nil if it has failed. It reports whether
// the job was still wanted.
func (m *memory) end(j *job, key crypto.Signer, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.job != j {
		return false
	}
	m.job, m.key, m.createdAt = nil, key, now
	return true
}

// making returns the job that makes a key, nil without one.
func (m *memory) making() *job {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.job
}

// abandon ends the making of a key that nobody wants any more.
func (m *memory) abandon() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.job != nil {
		m.job.cancel()
		m.job = nil
	}
}

// count counts for a generation of the spec.
func (m *memory) count(generation int64, n *int) {
	if m.generation != generation {
		m.generation, m.requests, m.keys, m.temporaries = generation, 0, 0, 0
	}
	*n++
}

// Get implements controller.Kind.
func (c *Controller) Get(ctx context.Context, key types.NamespacedName) (*cmv1.Certificate, bool, error) {
	object := &cmv1.Certificate{}
	if err := c.Cache.Get(ctx, key, object); err != nil {
		return nil, false, err
	}
	return object, object.DeletionTimestamp == nil, nil
}

// Forget implements controller.Kind.
func (c *Controller) Forget(key types.NamespacedName) {
	c.memory.Drop(key).abandon()
	c.keystores.Drop(key)
	c.issuances.Drop(key)
}

// work is one reconcile of one Certificate.
type work struct {
	*Controller
	core.State
	subject plan.Ref
	// memory is nil until there is something to remember.
	memory *memory
}

// Object implements controller.Work.
func (w *work) Object() *cmv1.Certificate { return w.State.Object }

// Replace implements controller.Work.
func (w *work) Replace(object *cmv1.Certificate) { w.State.Object = object }

// Load implements controller.Kind.
func (c *Controller) Load(ctx context.Context, object *cmv1.Certificate) (controller.Work[*cmv1.Certificate, cmv1.CertificateStatus], error) {
	name := client.ObjectKeyFromObject(object)
	w := &work{
		Controller: c,
		State:      core.State{Object: object, Backoff: c.config.Backoff, OwnSecret: c.config.OwnSecrets, Started: c.started(), Spread: c.config.Spread},
		subject:    plan.Ref{Kind: cmv1.CertificateKind, NamespacedName: name},
		memory:     c.memory.Find(name, object.UID),
	}
	var err error
	if w.Secret, err = c.Secrets.Facts(ctx, object.Namespace, object.Spec.SecretName); err != nil {
		return nil, err
	}
	if w.Secret == nil && object.Status.NotAfter != nil && object.Spec.SecretName != "" {
		// It was there. A Secret whose label changes is in neither cache for a moment.
		if w.Secret, err = c.Secrets.LiveFacts(ctx, object.Namespace, object.Spec.SecretName); err != nil {
			return nil, err
		}
	}
	if stores := core.Keystores(&object.Spec); len(stores) > 0 {
		w.State.PasswordVersions = c.passwordVersions(object.Namespace, stores)
		if known := c.keystores.Find(name, object.UID); known != nil {
			w.State.Keystores = *known
		}
	}
	w.State.Requests = c.Requests.ControlledBy(object)
	w.State.Orders = c.ordersOf(w.State.Requests)
	w.recallIssuances()
	if err = w.findKeys(ctx); err != nil {
		return nil, err
	}
	w.SecretUsedBy = w.secretUser(ctx)
	if w.SecretOwnedBy, err = w.secretOwner(ctx, object); err != nil {
		return nil, err
	}
	issuer, err := c.Issuers.Get(ctx, object.Namespace, object.Spec.IssuerRef)
	if err != nil {
		return nil, err
	}
	w.Advised = c.config.RenewalInformation && (issuer == nil || core.TakesAdvice(issuer.GetSpec()))
	if issuer != nil {
		w.IssuerVersion = facts.IssuerVersion(issuer)
		w.SignsInline = w.signsInline(ctx, issuer)
		if of := facts.TypeOf(issuer.GetSpec()); c.config.Serves != nil && !c.config.Serves(of) {
			w.IssuerUnserved = of
		}
	}
	w.recall()
	return w, nil
}

// ordersOf are the Orders of those of the requests that wait or have failed.
func (c *Controller) ordersOf(requests []*facts.Request) map[types.UID]*facts.Order {
	var orders map[types.UID]*facts.Order
	for _, r := range requests {
		if r.Waiting == "" && r.Failure == nil {
			continue
		}
		o := facts.Newest(c.Orders.ControlledBy(&metav1.ObjectMeta{Namespace: r.Namespace, UID: r.UID}))
		if o == nil {
			continue
		}
		if orders == nil {
			orders = map[types.UID]*facts.Order{}
		}
		orders[r.UID] = o
	}
	return orders
}

// secretOwner is the name of another Certificate that has a better right to
// spec.secretName, empty without one.
func (w *work) secretOwner(ctx context.Context, object *cmv1.Certificate) (string, error) {
	list := &cmv1.CertificateList{}
	err := w.Cache.List(ctx, list, client.InNamespace(object.Namespace),
		client.MatchingFields{indexSecretName: object.Spec.SecretName})
	if err != nil || len(list.Items) < 2 {
		return "", err
	}
	owner := core.SecretOwner(list.Items, w.Secret)
	if owner == object.Name {
		return "", nil
	}
	return owner, nil
}

// secretUser names an issuer that needs what is in spec.secretName, empty without
// one. A Secret that a Certificate has made is nobody's in this sense.
func (w *work) secretUser(ctx context.Context) string {
	if w.Secret == nil || w.Secret.Annotations[cmv1.CertificateNameKey] != "" {
		return ""
	}
	secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: w.Secret.Namespace, Name: w.Secret.Name}}
	for _, kind := range []string{cmv1.IssuerKind, cmv1.ClusterIssuerKind} {
		for _, issuer := range w.Issuers.Using(ctx, kind, secret) {
			if slices.Contains(facts.OwnSecrets(issuer.GetSpec()), secret.Name) {
				return fmt.Sprintf("%s %q", kind, issuer.GetName())
			}
		}
	}
	return ""
}

// signsInline reports whether the issuer answers at once, so that the key need not be
// stored before, and whether its requests are ours to approve. A Vault that does not
// answer at once has the key stored meanwhile.
func (w *work) signsInline(ctx context.Context, issuer cmv1.GenericIssuer) bool {
	spec := issuer.GetSpec()
	if w.config.LeaveApproval || spec.CA == nil && spec.Vault == nil || !cluster.IssuerReady(issuer) {
		return false
	}
	object := w.State.Object
	may, err := w.Approval.May(ctx, object.Namespace, object.Spec.IssuerRef)
	if err != nil {
		logr.FromContextOrDiscard(ctx).V(4).Info("Storing the key, as it is unknown whether the request may be approved here", "error", err.Error())
	}
	return may && err == nil
}

// note returns the memory, made if there is none.
func (w *work) note() *memory {
	if w.memory == nil {
		w.memory = w.Controller.memory.Of(w.subject.NamespacedName, w.State.Object.UID, (*memory).abandon)
	}
	return w.memory
}

// recall brings the state's view of the memory up to date. A key that the spec
// no longer wants counts as none.
func (w *work) recall() {
	if j := w.memory.making(); j != nil && j.spec != core.KeySpecOf(&w.State.Object.Spec) {
		w.memory.abandon()
	}
	key, createdAt := w.memory.held()
	w.State.Memory = core.Memory{Kept: w.memory != nil}
	if m := w.memory; m != nil {
		w.State.Memory.AbsentAt, w.State.Memory.BegunAt, w.State.Memory.Request = m.absentAt, m.begunAt, m.request
		w.State.Memory.FailedAttempts = m.failedAttempts
		if m.generation == w.State.Object.Generation {
			w.State.Memory.Requests, w.State.Memory.Keys, w.State.Memory.Temporaries = m.requests, m.keys, m.temporaries
		}
		if j := m.making(); j != nil {
			w.State.Memory.Generating, w.State.Memory.GeneratingSince = true, j.since
		}
	}
	if key == nil || len(w.State.Keys) > 0 {
		return
	}
	if have, ok := pki.SpecOf(key.Public()); ok && len(core.KeyMismatches(&w.State.Object.Spec, have)) == 0 {
		w.State.Memory.Key = &core.MemoryKey{Digest: pki.DigestOf(key.Public()), CreatedAt: createdAt, Name: w.nextKeyName()}
	}
}
