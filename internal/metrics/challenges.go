package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	acmev1 "github.com/everleaf/everleaf/api/acme/v1"
)

var challengeStatus = prometheus.NewDesc("certmanager_certificate_challenge_status",
	"The status of certificate challenges",
	[]string{"status", "domain", "reason", "processing", "name", "namespace", "type"}, nil)

// challengeStatuses are the labels of the series that show a Challenge's state.
var challengeStatuses = []*dto.LabelPair{
	label("status", string(acmev1.Unknown)), label("status", string(acmev1.Pending)),
	label("status", string(acmev1.Processing)), label("status", string(acmev1.Ready)),
	label("status", string(acmev1.Valid)), label("status", string(acmev1.Invalid)),
	label("status", string(acmev1.Expired)), label("status", string(acmev1.Errored)),
}

// challenges collects the metrics of Challenges.
func challenges(r reader) prometheus.Collector {
	return collect(r, &acmev1.ChallengeList{}, func(ch chan<- prometheus.Metric, challenge *acmev1.Challenge) {
		labels := []*dto.LabelPair{
			label("domain", challenge.Spec.DNSName), label("name", challenge.Name), label("namespace", challenge.Namespace),
			label("processing", strconv.FormatBool(challenge.Status.Processing)), label("reason", challenge.Status.Reason),
		}
		kind := label("type", string(challenge.Spec.Type))
		for _, status := range challengeStatuses {
			all := append(labels[:len(labels):len(labels)], status, kind)
			ch <- gauge{challengeStatus, all, indicator(status.GetValue() == string(challenge.Status.State))}
		}
	}, challengeStatus)
}
