package diagnosis

import (
	"encoding/json"
	"time"

	"github.com/everleaf/everleaf/internal/propagation"
	"github.com/everleaf/everleaf/internal/selfcheck"
)

// Annotations by which a person asks the controllers what they see of a Challenge,
// and by which they answer. The controllers remove both after AnswerKept.
const (
	// AskAnnotation holds any text that is new for each question, as the id of the
	// Answer.
	AskAnnotation = "everleaf.io/explain"
	// AnswerAnnotation holds an Answer as JSON.
	AnswerAnnotation = "everleaf.io/explained"
)

// Answer is what the controllers see of a Challenge.
type Answer struct {
	ID string `json:"id"`
	// Provider names the server to which the record is written (DNS-01).
	Provider string `json:"provider,omitempty"`
	// Problem says why nothing was seen.
	Problem string `json:"problem,omitempty"`
	// View is what name servers answer (DNS-01), HTTP what the addresses of the name
	// answer (HTTP-01).
	View *propagation.View `json:"view,omitempty"`
	HTTP *selfcheck.View   `json:"http,omitempty"`
}

// At is when servers were asked, the zero time if none were.
func (a Answer) At() time.Time {
	switch {
	case a.View != nil:
		return a.View.At
	case a.HTTP != nil:
		return a.HTTP.Report.At
	default:
		return time.Time{}
	}
}

// AnswerTo is the answer to a question in annotations, nil if there is none.
func AnswerTo(annotations map[string]string, id string) *Answer {
	var a Answer
	if json.Unmarshal([]byte(annotations[AnswerAnnotation]), &a) != nil || a.ID != id {
		return nil
	}
	return &a
}
