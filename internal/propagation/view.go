package propagation

import (
	"fmt"
	"slices"
	"time"
)

// View is what name servers answer about one challenge name, as seen from one
// place. It is evidence for a person, and is stored as JSON: names of fields stay.
type View struct {
	// Name is the challenge name, absolute and in lower case; Value is the TXT value
	// that a CA looks for there.
	Name  string `json:"name"`
	Value string `json:"value"`
	// At is when the servers were asked.
	At time.Time `json:"at"`
	// Only reports whether the resolvers decide, and not the name servers
	// (RecursiveOnly).
	Only bool `json:"resolversOnly,omitempty"`
	// Resolvers are the recursive resolvers, each with the zone and the name servers
	// to which it leads.
	Resolvers []ResolverView `json:"resolvers,omitempty"`
	// Servers are the authoritative servers to which any of the resolvers leads.
	Servers []Reply `json:"servers,omitempty"`
	// Origin are the servers to which the record is written, as far as that is known.
	Origin []Reply `json:"origin,omitempty"`
	// CAA are the CAA records of the domain and of the names above it, the nearest
	// first (RFC 8659 section 3).
	CAA []CAAView `json:"caa,omitempty"`
	// Intercepted says what answers at an address at which nothing can be
	// (192.0.2.1, RFC 5737), empty if nothing does.
	Intercepted string `json:"intercepted,omitempty"`
	// Left says which questions were not asked, and why.
	Left []string `json:"left,omitempty"`
}

// ResolverView is what one recursive resolver says.
type ResolverView struct {
	// Server is its address, host:port, or its URL.
	Server string `json:"server"`
	// System reports whether the machine or the pod is configured to use it,
	// Configured whether everleaf is (--dns01-recursive-nameservers, or the solver's
	// nameservers).
	System     bool `json:"system,omitempty"`
	Configured bool `json:"configured,omitempty"`
	// Zone holds Final, the end of the name's CNAME chain, as the servers to which
	// the resolver leads say. Signed reports whether they sign their answers.
	Zone   string `json:"zone,omitempty"`
	Final  string `json:"final,omitempty"`
	Signed bool   `json:"signed,omitempty"`
	// Nameservers are the names of the servers of Zone.
	Nameservers []string `json:"nameservers,omitempty"`
	// Problem says why there is no Zone.
	Problem string `json:"problem,omitempty"`
	// TXT is its answer about the challenge name, nil if it was not asked.
	TXT *Reply `json:"txt,omitempty"`
	// Bogus reports whether it finds the answer only if it need not validate
	// signatures (RFC 4035 section 3.2.2).
	Bogus bool `json:"bogus,omitempty"`
}

// Reply is what one address of a server answers about a TXT record.
type Reply struct {
	// Server is the server's name, Address the address that was asked, Role why.
	Server  string `json:"server"`
	Address string `json:"address,omitempty"`
	Role    Role   `json:"role,omitempty"`
	// Via are the resolvers that lead to the server.
	Via  []string `json:"via,omitempty"`
	Zone string   `json:"zone,omitempty"`
	Name string   `json:"name,omitempty"`

	// Failure says why there is no answer over UDP, or over TCP after a truncated
	// one; TCP says why there is none over TCP. Detail says what the server did, if
	// that is more than Failure says.
	Failure Failure `json:"failure,omitempty"`
	Detail  string  `json:"detail,omitempty"`
	TCP     Failure `json:"tcp,omitempty"`
	// Rcode is the RCODE as dig prints it, Authoritative the AA bit.
	Rcode         string `json:"rcode,omitempty"`
	Authoritative bool   `json:"authoritative,omitempty"`
	Target        string `json:"target,omitempty"`
	// Alias is what the server answers to a question for a CNAME record, if it
	// answers the one for TXT records with values of its own.
	Alias string `json:"alias,omitempty"`
	// Values counts the TXT values, Has reports whether the wanted one is among them.
	Values int  `json:"values,omitempty"`
	Has    bool `json:"has,omitempty"`
	// TTL and NegativeTTL are in seconds. NegativeTTL is what is left of it for a
	// resolver.
	TTL         int64 `json:"ttl,omitempty"`
	NegativeTTL int64 `json:"negativeTTL,omitempty"`
	// Serial is that of the zone's SOA record at this server, zero if not known.
	Serial uint32 `json:"serial,omitempty"`
	// Extended is the extended error of the answer (RFC 8914).
	Extended     string `json:"extended,omitempty"`
	Milliseconds int64  `json:"milliseconds,omitempty"`
}

// CAAView is what a resolver says about the CAA records at one name.
type CAAView struct {
	Name    string    `json:"name"`
	Rcode   string    `json:"rcode,omitempty"`
	Failure Failure   `json:"failure,omitempty"`
	Alias   string    `json:"alias,omitempty"`
	Records []CAA     `json:"records,omitempty"`
	Servers []Refusal `json:"servers,omitempty"`
}

// CAA is a CAA record (RFC 8659 section 4).
type CAA struct {
	Critical bool   `json:"critical,omitempty"`
	Tag      string `json:"tag"`
	Value    string `json:"value"`
}

// String is the record as a zone file has it, without its owner.
func (c CAA) String() string {
	flags := 0
	if c.Critical {
		flags = 128
	}
	return fmt.Sprintf("%d %s %q", flags, c.Tag, c.Value)
}

// Refusal is a name server that does not answer for a zone that it is named for.
type Refusal struct {
	Server string `json:"server"`
	Says   string `json:"says"`
}

// ReplyOf returns an Answer as a Reply.
func ReplyOf(a Answer) Reply {
	r := Reply{
		Server: a.Server, Role: a.Role, Zone: a.Zone, Name: a.Name, Failure: a.Failure, Detail: a.Detail, Rcode: a.Rcode,
		Authoritative: a.Authoritative, Target: a.Target, Alias: a.Alias, Values: a.Values, Has: a.Has,
		TTL: int64(a.TTL / time.Second), NegativeTTL: int64(a.NegativeTTL / time.Second), Serial: a.Serial,
		Milliseconds: a.Duration.Milliseconds(),
	}
	if a.Addr.IsValid() {
		r.Address = a.Addr.String()
	}
	return r
}

// Answer returns the part of a Reply that a Judge reads.
func (r Reply) Answer() Answer {
	return Answer{
		Server: r.Server, Role: r.Role, Zone: r.Zone, Name: r.Name, Failure: r.Failure, Detail: r.Detail, Rcode: r.Rcode,
		Authoritative: r.Authoritative, Target: r.Target, Values: r.Values, Has: r.Has,
	}
}

// Lame reports whether the server answers without authority for its zone.
func (r Reply) Lame() bool { return r.Failure == NoFailure && r.Target == "" && r.Answer().Lame() }

// Says is what the server answers, in words.
func (r Reply) Says() string { return r.Answer().says() }

// Who names the server and its address.
func (r Reply) Who() string {
	if r.Address == "" || r.Address == r.Server {
		return r.Server
	}
	return r.Server + " (" + r.Address + ")"
}

// Add adds an answer of a server to which a resolver leads. Several may lead to the
// same one.
func (v *View) Add(r Reply, via string) {
	i := slices.IndexFunc(v.Servers, func(o Reply) bool {
		return o.Server == r.Server && o.Address == r.Address && o.Zone == r.Zone && o.Name == r.Name
	})
	if i < 0 {
		r.Via = []string{via}
		v.Servers = append(v.Servers, r)
		return
	}
	v.Servers[i].Via = append(v.Servers[i].Via, via)
}
