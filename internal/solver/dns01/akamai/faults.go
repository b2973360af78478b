package akamai

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/everleaf/everleaf/internal/fault"
)

// said is the text of a problem, or "" if an answer is something else.
func said(body []byte) string {
	var p problem
	if json.Unmarshal(body, &p) != nil {
		return ""
	}
	if p.Title == "" || p.Detail == "" {
		return p.Title + p.Detail
	}
	return p.Title + ": " + p.Detail
}

// advice is what to do about an answer with a status.
func (p *Provider) advice(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "check the tokens and the secret of " + p.client + ", that the client is active, and the clock of this machine"
	case http.StatusForbidden:
		return "check that " + p.client + " has READ-WRITE access to the API service DNS-Zone Record Management, and to the group of the zone"
	default:
		return ""
	}
}

// noZone is the fault for a name that is in no zone that the API client sees.
func (p *Provider) noZone(name string) error {
	return fault.New(fault.User, "ZoneNotFound",
		prefix+"found no zone for %s among those that %s sees: add the zone to a group of the client, and if %s is a CNAME record into another zone, set cnameStrategy: Follow",
		name, p.client, name)
}

// notPrimary is the fault for a name in a zone that has its records from elsewhere.
func notPrimary(name, zone, kind string) error {
	return fault.New(fault.User, "ZoneNotPrimary", prefix+"%s is in zone %s, which is %s at Edge DNS and takes no records there: set up a solver for the primary server of the zone",
		name, zone, strings.ToLower(kind))
}

// badName is the fault for a name that the API cannot have in a path.
func badName(name string) error {
	return fault.New(fault.User, "InvalidName", prefix+"Edge DNS takes no records at %q", name)
}
