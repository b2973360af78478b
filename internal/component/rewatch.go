package component

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// namesOnly asks for a list without what is in the objects.
	namesOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
	// maxRefusal bounds what is read of an answer, in bytes.
	maxRefusal = 64 << 10
)

// Rewatch returns a wrapper of the transport to the API server by which caches survive that
// etcd is restored from a backup. A cache goes on from the version that it knows. To an API
// server whose data is older, this is a watch of the future: it sends nothing, not even
// bookmarks, until etcd has reached that version, which takes as long as the backup is old.
// So the API server is asked first whether it has the version, by a list of one object. If
// not, the watch fails with 410 (Gone), and the cache reads everything anew.
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
	answer, err := t.next.RoundTrip(versionCheck(r, version))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	answer.Body.Close()
	switch {
	case err != nil:
		return nil, err
	case lacksVersion(body):
		t.log.Info("The API server has older data than this process, as if etcd was restored from a backup; reading all objects of the kind anew",
			"path", r.URL.Path, "version", version)
		return expired(r, version)
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

// versionCheck is the request whether the API server has a version of what a watch is of.
// It is without labels, by which the API server would have to search.
func versionCheck(watch *http.Request, version string) *http.Request {
	query := url.Values{
		"limit": {"1"}, "resourceVersion": {version}, "resourceVersionMatch": {string(metav1.ResourceVersionMatchNotOlderThan)},
	}
	if fields := watch.URL.Query().Get("fieldSelector"); fields != "" {
		query.Set("fieldSelector", fields)
	}
	list := watch.Clone(watch.Context())
	list.URL.RawQuery = query.Encode()
	list.Header.Set("Accept", namesOnly)
	return list
}

// lacksVersion reports whether an answer says that the API server has not reached a version.
func lacksVersion(body []byte) bool {
	var status metav1.Status
	return json.Unmarshal(body, &status) == nil && status.Status == metav1.StatusFailure && status.Details != nil &&
		slices.ContainsFunc(status.Details.Causes, func(c metav1.StatusCause) bool { return c.Type == metav1.CauseTypeResourceVersionTooLarge })
}

// expired is an API server's answer to a watch of a version that it does not have any more.
func expired(r *http.Request, version string) (*http.Response, error) {
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: http.StatusGone, Reason: metav1.StatusReasonExpired,
		Message: fmt.Sprintf("the API server has no version %s: etcd was restored from a backup", version),
	})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusGone, Status: "410 Gone", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}
