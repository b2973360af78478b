package challenge

import (
	"fmt"
	"time"

	core "github.com/everleaf/everleaf/internal/lifecycle/challenge"
	"github.com/everleaf/everleaf/internal/plan"
	"github.com/everleaf/everleaf/internal/propagation"
)

// CacheFloorAnnotation on an issuer says how long the resolvers of its CA keep a
// DNS answer at least, as a duration such as 60s. It takes the place of
// --acme-dns-cache-floor. More than propagation.MaxFloor counts as that.
const CacheFloorAnnotation = "everleaf.io/acme-dns-cache-floor"

// settings are what the annotations of an issuer say about its Challenges.
type settings struct {
	cacheFloor *time.Duration
	selfCheck  propagation.Deadline
	// wrong are the annotations that cannot be used as they are.
	wrong []wrongSetting
}

// wrongSetting is an annotation with its value, what the value is not, and what it
// counts as.
type wrongSetting struct{ annotation, value, problem string }

// settingsOf reads the annotations of an issuer.
func settingsOf(annotations map[string]string) settings {
	var s settings
	s.cacheFloor = s.duration(annotations, CacheFloorAnnotation, 0, propagation.MaxFloor)
	after := s.duration(annotations, core.DeadlineAnnotation, propagation.MinDeadline, propagation.MaxDeadline)
	if after != nil {
		s.selfCheck.After = *after
	}
	switch value, ok := annotations[core.OnDeadlineAnnotation]; {
	case !ok || value == core.OnDeadlineWait:
	case value != core.OnDeadlineAskCA:
		s.reject(core.OnDeadlineAnnotation, value, fmt.Sprintf("is neither %s nor %s; it is taken as %[1]s", core.OnDeadlineWait, core.OnDeadlineAskCA))
	case after == nil:
		s.reject(core.OnDeadlineAnnotation, value, "has no effect without a valid annotation "+core.DeadlineAnnotation)
	default:
		s.selfCheck.AskCA = true
	}
	return s
}

// duration reads an annotation, nil if there is none or it is no duration from least
// on. More than most counts as that.
func (s *settings) duration(annotations map[string]string, annotation string, least, most time.Duration) *time.Duration {
	value, ok := annotations[annotation]
	if !ok {
		return nil
	}
	wanted, err := time.ParseDuration(value)
	problem := fmt.Sprintf("is not a duration from %s to %s; it is ", least, most)
	switch {
	case err != nil || wanted < least:
		s.reject(annotation, value, problem+"ignored")
		return nil
	case wanted > most:
		s.reject(annotation, value, problem+"taken as "+most.String())
		return &most
	default:
		return &wanted
	}
}

func (s *settings) reject(annotation, value, problem string) {
	s.wrong = append(s.wrong, wrongSetting{annotation, value, problem})
}

// reportSettings sends an event for each annotation of the issuer that cannot be used as
// it is.
func (w *work) reportSettings() {
	ref := w.State.Object.Spec.IssuerRef.WithDefaults()
	for _, wrong := range settingsOf(w.issuer.GetAnnotations()).wrong {
		w.c.API.Send(w.State.Object, plan.Event{
			Warning: true, Reason: "InvalidAnnotation", Component: core.Manager,
			Message: fmt.Sprintf("The annotation %s of %s %q is %q, which %s", wrong.annotation, ref.Kind, ref.Name, wrong.value, wrong.problem),
		})
	}
}
