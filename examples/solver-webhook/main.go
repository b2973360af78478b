// Command solver-webhook is an example of a DNS-01 solver webhook. It writes to a name
// server by dynamic updates (RFC 2136) with a TSIG key. manifests.yaml installs it, and
// issuer.yaml uses it.
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/everleaf/everleaf/api/acme/webhook/v1alpha1"
	"github.com/everleaf/everleaf/solverwebhook"
)

func main() { solverwebhook.Main(&solver{}) }

// config is webhook.config of an issuer.
type config struct {
	// Nameserver is the primary name server of the zone, as host:port.
	Nameserver string `json:"nameserver"`
	// TSIGKeyName and TSIGSecretRef are a key for hmac-sha256, its secret in base64.
	TSIGKeyName   string                   `json:"tsigKeyName"`
	TSIGSecretRef corev1.SecretKeySelector `json:"tsigSecretRef"`
}

type solver struct{ client kubernetes.Interface }

func (s *solver) Name() string { return "example" }

func (s *solver) Initialize(_ context.Context, config *rest.Config) (err error) {
	s.client, err = kubernetes.NewForConfig(config)
	return err
}

func (s *solver) Present(ctx context.Context, r *v1alpha1.ChallengeRequest) error {
	return s.update(ctx, r, (*dns.Msg).Insert)
}

func (s *solver) CleanUp(ctx context.Context, r *v1alpha1.ChallengeRequest) error {
	return s.update(ctx, r, (*dns.Msg).Remove)
}

func (s *solver) update(ctx context.Context, r *v1alpha1.ChallengeRequest, change func(*dns.Msg, []dns.RR)) error {
	c := config{}
	if err := solverwebhook.DecodeConfig(r, &c); err != nil {
		return err
	}
	secret, err := solverwebhook.ReadSecret(ctx, s.client, r, c.TSIGSecretRef)
	if err != nil {
		return err
	}
	key := dns.CanonicalName(c.TSIGKeyName)
	message := new(dns.Msg).SetUpdate(r.ResolvedZone)
	change(message, []dns.RR{&dns.TXT{
		Hdr: dns.RR_Header{Name: r.ResolvedFQDN, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: []string{r.Key},
	}})
	message.SetTsig(key, dns.HmacSHA256, 300, time.Now().Unix())
	client := dns.Client{Net: "tcp", TsigSecret: map[string]string{key: secret}}
	answer, _, err := client.ExchangeContext(ctx, message, c.Nameserver)
	if err != nil {
		return fmt.Errorf("update zone %s at %s: %w", r.ResolvedZone, c.Nameserver, err)
	}
	if answer.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("%s refuses to update zone %s: %s; check the zone's update policy for key %s", c.Nameserver, r.ResolvedZone, dns.RcodeToString[answer.Rcode], key)
	}
	return nil
}
