package component

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// namesOnly asks for a list without what is in the objects.
	namesOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
	// maxAnswer bounds what is read of an answer, in bytes. Managed fields and annotations
	// are in it.
	maxAnswer = 2 << 20
	// checkTimeout bounds one question. The API server waits 3 s for a version.
	checkTimeout = 15 * time.Second
	// heldFor is how long a watch waits for an API server that is away. It is more than the
	// two minutes after which client-go forgets earlier failures of a cache.
	heldFor = 3 * time.Minute
)

// away is how soon an API server that is away is asked again. The caches of client-go wait up
// to a minute between their tries, and again before they read everything anew.
var away = wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 20, Cap: 4 * time.Second}

// Rewatch returns a wrapper of the transport to the API server by which caches survive that
// etcd is restored from a backup. A cache goes on from the version that it knows. To an API
// server whose data is older, this is a watch of the future: it sends nothing, not even
// bookmarks, until etcd has reached that version, which takes as long as the backup is old.
// So the API server is asked first whether it has the version, by a list of one object. If
// neither it nor etcd has it, the watch fails with 410 (Gone), and the cache reads everything
// anew. An API server that is merely behind etcd is asked again soon.
//
// A watch waits for an API server to which there is no connection, so that caches go on
// within seconds after its return.
func Rewatch(log logr.Logger) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper { return rewatching{log, next} }
}

type rewatching struct {
	log  logr.Logger
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t rewatching) RoundTrip(r *http.Request) (*http.Response, error) {
	version := continuedFrom(r)
	if version == "" {
		return t.next.RoundTrip(r)
	}
	answer, body, err := t.ask(r, version)
	switch {
	case err != nil:
		return nil, err
	case lacksVersion(body):
		// Without a version, the API server answers with what etcd has.
		_, body, err := t.list(r, "")
		if err != nil {
			return nil, err
		}
		if !olderThan(body, version) {
			return refusal(r, metav1.Status{
				Code: http.StatusTooManyRequests, Reason: metav1.StatusReasonTooManyRequests, Details: &metav1.StatusDetails{RetryAfterSeconds: 1},
				Message: fmt.Sprintf("the API server has not read version %s yet", version),
			})
		}
		t.log.Info("The API server has older data than this process, as if etcd was restored from a backup; reading all objects of the kind anew",
			"path", r.URL.Path, "version", version)
		return refusal(r, metav1.Status{
			Code: http.StatusGone, Reason: metav1.StatusReasonExpired,
			Message: fmt.Sprintf("the API server has no version %s: etcd was restored from a backup", version),
		})
	case answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= http.StatusInternalServerError:
		// A watch would begin without an answer.
		answer.Body = io.NopCloser(bytes.NewReader(body))
		return answer, nil
	}
	return t.next.RoundTrip(r)
}

// continuedFrom returns the version from which a watch goes on, "" if it is another request.
func continuedFrom(r *http.Request) string {
	if r.Method != http.MethodGet || !strings.Contains(r.URL.RawQuery, "watch=") {
		return ""
	}
	query := r.URL.Query()
	version := query.Get("resourceVersion")
	if watch := query.Get("watch"); (watch != "true" && watch != "1") || query.Get("sendInitialEvents") == "true" || version == "0" {
		return ""
	}
	return version
}

// ask asks whether the API server has a version, again and again while there is no connection
// to it.
func (t rewatching) ask(watch *http.Request, version string) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(watch.Context(), heldFor)
	defer cancel()
	for pause := away; ; {
		answer, body, err := t.list(watch, version)
		if err == nil {
			return answer, body, nil
		}
		if pause.Steps == away.Steps {
			t.log.Info("The API server does not answer; a watch waits for it, and tries again every few seconds", "path", watch.URL.Path, "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil, nil, err
		case <-time.After(pause.Step()):
		}
	}
}

// list asks for one object of what a watch is of, not older than a version if there is one.
// It is without labels, by which the API server would have to search.
func (t rewatching) list(watch *http.Request, version string) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(watch.Context(), checkTimeout)
	defer cancel()
	query := url.Values{"limit": {"1"}}
	if version != "" {
		query.Set("resourceVersion", version)
		query.Set("resourceVersionMatch", string(metav1.ResourceVersionMatchNotOlderThan))
	}
	if fields := watch.URL.Query().Get("fieldSelector"); fields != "" {
		query.Set("fieldSelector", fields)
	}
	list := watch.Clone(ctx)
	list.URL.RawQuery = query.Encode()
	list.Header.Set("Accept", namesOnly)
	answer, err := t.next.RoundTrip(list)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	return answer, body, err
}

// olderThan reports whether a list is older than a version.
func olderThan(body []byte, version string) bool {
	var list metav1.PartialObjectMetadataList
	if json.Unmarshal(body, &list) != nil {
		return false
	}
	has, err := strconv.ParseUint(list.ResourceVersion, 10, 64)
	wanted, errWanted := strconv.ParseUint(version, 10, 64)
	return err == nil && errWanted == nil && has < wanted
}

// lacksVersion reports whether an answer says that the API server has not reached a version.
func lacksVersion(body []byte) bool {
	var status metav1.Status
	return json.Unmarshal(body, &status) == nil && status.Status == metav1.StatusFailure && status.Details != nil &&
		slices.ContainsFunc(status.Details.Causes, func(c metav1.StatusCause) bool { return c.Type == metav1.CauseTypeResourceVersionTooLarge })
}

// refusal is a refusal of a watch as an API server sends it.
func refusal(r *http.Request, status metav1.Status) (*http.Response, error) {
	status.TypeMeta, status.Status = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, metav1.StatusFailure
	body, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	code := int(status.Code)
	return &http.Response{
		StatusCode: code, Status: fmt.Sprintf("%d %s", code, http.StatusText(code)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}
