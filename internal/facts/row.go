package facts

import (
	"strconv"
	"strings"
	"time"

	cmv1 "github.com/everleaf/everleaf/api/certmanager/v1"
)

// What a CertificateRequest hands on to the next one of its Certificate.
const (
	// FailedAttemptsAnnotation counts the attempts in a row that have failed before
	// the one that has made the request.
	FailedAttemptsAnnotation = "everleaf.io/failed-attempts"
	// IssuancesAnnotation holds a Row. A request without predecessors of late has none.
	IssuancesAnnotation = "everleaf.io/recent-issuances"
)

// longestRow bounds what is read of annotations, which others can write.
const longestRow = 16

// Row is what a CertificateRequest says of the issuances of late that nobody has asked
// for, its own among them.
type Row struct {
	// Generation is that of the Certificate, 0 if the request does not say it.
	Generation int64
	// At is when they began, the latest last.
	At []time.Time
}

// String is the row as its annotation holds it: the generation, and the times in RFC
// 3339.
func (r Row) String() string {
	words := []string{strconv.FormatInt(r.Generation, 10)}
	for _, at := range r.At {
		words = append(words, at.UTC().Format(time.RFC3339))
	}
	return strings.Join(words, " ")
}

// rowOf is the row in a request's annotation, the zero value if there is none that can
// be read.
func rowOf(r *cmv1.CertificateRequest) Row {
	words := strings.Fields(r.Annotations[IssuancesAnnotation])
	if len(words) == 0 || len(words) > longestRow {
		return Row{}
	}
	generation, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil || generation < 1 {
		return Row{}
	}
	row := Row{Generation: generation}
	for _, word := range words[1:] {
		at, err := time.Parse(time.RFC3339, word)
		if err != nil {
			return Row{}
		}
		row.At = append(row.At, at)
	}
	return row
}

// mostAttempts bounds the count of an annotation.
const mostAttempts = 1000

// failedAttempts is the count in a request's annotation, 0 if it is none.
func failedAttempts(r *cmv1.CertificateRequest) int {
	n, err := strconv.Atoi(r.Annotations[FailedAttemptsAnnotation])
	if err != nil || n < 0 {
		return 0
	}
	return min(n, mostAttempts)
}
