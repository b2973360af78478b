package diagnosis

import (
	"encoding/json"

	"github.com/everleaf/everleaf/internal/propagation"
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
	// Provider names the server to which the record is written.
	Provider string `json:"provider,omitempty"`
	// Problem says why there is no View.
	Problem string            `json:"problem,omitempty"`
	View    *propagation.View `json:"view,omitempty"`
}

// AnswerTo is the answer to a question in annotations, nil if there is none.
func AnswerTo(annotations map[string]string, id string) *Answer {
	var a Answer
	if json.Unmarshal([]byte(annotations[AnswerAnnotation]), &a) != nil || a.ID != id {
		return nil
	}
	return &a
}
