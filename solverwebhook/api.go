package solverwebhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
)

// maxBody bounds a request, in bytes: like the API server, which holds the issuer.
const maxBody = 3 << 20

// api serves the solvers' API group: its discovery documents, and one resource per
// solver, which takes requests and keeps nothing.
type api struct {
	group, version string
	solvers        map[string]Solver
	documents      map[string]any
}

func newAPI(group string, solvers []Solver) *api {
	a := &api{group: group, version: group + "/" + v1alpha1.SchemeGroupVersion.Version, solvers: map[string]Solver{}}
	version := metav1.GroupVersionForDiscovery{GroupVersion: a.version, Version: v1alpha1.SchemeGroupVersion.Version}
	entry := metav1.APIGroup{
		TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"},
		Name:     group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version,
	}
	resources := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: a.version}
	for _, s := range solvers {
		a.solvers[s.Name()] = s
		resources.APIResources = append(resources.APIResources, metav1.APIResource{
			Name: s.Name(), SingularName: s.Name(), Kind: v1alpha1.ChallengePayloadKind, Verbs: metav1.Verbs{"create"},
			Group: v1alpha1.SchemeGroupVersion.Group, Version: v1alpha1.SchemeGroupVersion.Version,
		})
	}
	a.documents = map[string]any{
		"/apis": metav1.APIGroupList{
			TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{entry},
		},
		"/apis/" + group:     entry,
		"/apis/" + a.version: resources,
	}
	return a
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	if document, found := a.documents[path]; found {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			writeStatus(w, http.StatusMethodNotAllowed, "only GET is supported")
			return
		}
		writeJSON(w, http.StatusOK, document)
		return
	}
	name, within := strings.CutPrefix(path, "/apis/"+a.version+"/")
	solver := a.solvers[name]
	switch {
	case !within:
		writeStatus(w, http.StatusNotFound, fmt.Sprintf("the solver webhook serves API group %q, version %s, and not %s", a.group, v1alpha1.SchemeGroupVersion.Version, path))
	case solver == nil:
		writeStatus(w, http.StatusNotFound, fmt.Sprintf("the solver webhook has no solver %q; it has: %s", name, strings.Join(slices.Sorted(maps.Keys(a.solvers)), ", ")))
	case r.Method != http.MethodPost:
		writeStatus(w, http.StatusMethodNotAllowed, "solvers only take POST requests")
	default:
		a.solve(w, r, solver)
	}
}

func (a *api) solve(w http.ResponseWriter, r *http.Request, solver Solver) {
	payload := v1alpha1.ChallengePayload{}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&payload); err != nil {
		writeStatus(w, http.StatusBadRequest, "the body is not a ChallengePayload in JSON: "+decodeFailure(err))
		return
	}
	if payload.Request == nil {
		writeStatus(w, http.StatusBadRequest, "payload request field cannot be empty")
		return
	}
	writeJSON(w, http.StatusCreated, v1alpha1.ChallengePayload{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.ChallengePayloadKind},
		Response: respond(r.Context(), solver, payload.Request),
	})
}

// decodeFailure says what is wrong with a JSON text, without the text.
func decodeFailure(err error) string {
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
		large  *http.MaxBytesError
	)
	switch {
	case errors.As(err, &large):
		return fmt.Sprintf("it exceeds %d bytes", large.Limit)
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Sprintf("it is a JSON %s instead of an object", kind.Value)
	case errors.As(err, &kind):
		return fmt.Sprintf("field %q is a JSON %s, which does not fit", strings.TrimPrefix(kind.Field, "."), kind.Value)
	case errors.As(err, &syntax):
		return fmt.Sprintf("syntax error at byte %d", syntax.Offset)
	case errors.Is(err, io.EOF):
		return "it is empty"
	default:
		return "it cannot be read"
	}
}

// respond has a solver do what is requested.
func respond(ctx context.Context, solver Solver, request *v1alpha1.ChallengeRequest) *v1alpha1.ChallengeResponse {
	ctx, cancel := context.WithTimeoutCause(ctx, Patience, fmt.Errorf("the solver took longer than %s", Patience))
	defer cancel()
	start := time.Now()
	err := call(ctx, solver, request)
	// Errors are not logged: they are in the Challenge's status.
	klog.V(2).InfoS("Asked", "solver", solver.Name(), "action", request.Action, "fqdn", request.ResolvedFQDN, "success", err == nil, "duration", time.Since(start))
	response := &v1alpha1.ChallengeResponse{UID: request.UID, Success: err == nil}
	if err != nil {
		response.Result = &metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}
	}
	return response
}

// call calls the solver. A panic becomes an error.
func call(ctx context.Context, solver Solver, request *v1alpha1.ChallengeRequest) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(solver, p)
		}
	}()
	switch request.Action {
	case v1alpha1.ChallengeActionPresent:
		return solver.Present(ctx, request)
	case v1alpha1.ChallengeActionCleanUp:
		return solver.CleanUp(ctx, request)
	default:
		return fmt.Errorf("unknown action type %q", request.Action)
	}
}

// panicked logs where a solver has panicked. The value of a panic may contain secrets,
// unless it comes from the Go runtime.
func panicked(solver Solver, value any) error {
	what := fmt.Sprintf("a %T", value)
	if fault, ok := value.(runtime.Error); ok {
		what = fault.Error()
	}
	klog.ErrorS(nil, "A solver panicked", "solver", solver.Name(), "panic", what, "stack", string(debug.Stack()))
	return fmt.Errorf("solver %s panicked (%s), which is a mistake in its program: see its log", solver.Name(), what)
}

func writeStatus(w http.ResponseWriter, code int, message string) {
	writeJSON(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reasons[code], Message: message,
	})
}

var reasons = map[int]metav1.StatusReason{
	http.StatusBadRequest:          metav1.StatusReasonBadRequest,
	http.StatusUnauthorized:        metav1.StatusReasonUnauthorized,
	http.StatusForbidden:           metav1.StatusReasonForbidden,
	http.StatusNotFound:            metav1.StatusReasonNotFound,
	http.StatusMethodNotAllowed:    metav1.StatusReasonMethodNotAllowed,
	http.StatusInternalServerError: metav1.StatusReasonInternalError,
	http.StatusServiceUnavailable:  metav1.StatusReasonServiceUnavailable,
}

func writeJSON(w http.ResponseWriter, code int, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// An error here is the client's.
	_, _ = w.Write(append(body, '\n'))
}
