package route53

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/everleaf/everleaf/internal/dns/dnsname"
)

// change carries out ChangeResourceRecordSets (API_ChangeResourceRecordSets.html).
func (v *vendor) change(w http.ResponseWriter, key, id string, body []byte) {
	var request struct {
		XMLName xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ChangeResourceRecordSetsRequest"`
		Comment string   `xml:"ChangeBatch>Comment"`
		Changes []struct {
			Action            string
			ResourceRecordSet recordSet
		} `xml:"ChangeBatch>Changes>Change"`
	}
	if err := xml.Unmarshal(body, &request); err != nil || len(request.Changes) != 1 || len(request.Comment) > 256 {
		refuse(w, 400, "InvalidInput", "Invalid XML")
		return
	}
	i := slices.IndexFunc(v.zones, func(z hosted) bool { return z.id == id })
	if i < 0 {
		refuse(w, 404, "NoSuchHostedZone", "No hosted zone found with ID: "+id)
		return
	}
	if v.read[key] {
		refuse(w, 403, "AccessDenied", "User: arn:aws:iam::123456789012:user/weak is not authorized to perform: route53:ChangeResourceRecordSets on resource: arn:aws:route53:::hostedzone/"+id)
		return
	}
	set, action := request.Changes[0].ResourceRecordSet, request.Changes[0].Action
	set.Name = strings.ToLower(strings.TrimSuffix(set.Name, ".")) + "."
	if why := v.apply(v.zones[i], action, set); why != "" {
		// The page has this answer, with several messages, as its second example.
		w.WriteHeader(400)
		_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>
<InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages><Message>`)
		_ = xml.EscapeText(w, []byte(why))
		_, _ = fmt.Fprintf(w, `</Message></Messages></InvalidChangeBatch>`)
		return
	}
	v.changes++
	v.info(w, "ChangeResourceRecordSetsResponse", fmt.Sprintf("C%013d", v.changes), "PENDING")
}

func (v *vendor) info(w http.ResponseWriter, element, id, status string) {
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>
<%s xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeInfo><Id>/change/%s</Id><Status>%s</Status>
<SubmittedAt>2017-03-10T01:36:41.958Z</SubmittedAt></ChangeInfo></%s>`, element, id, status, element)
}

// apply changes a record set, or says why not in Route 53's words.
func (v *vendor) apply(z hosted, action string, set recordSet) string {
	if !dnsname.Within(set.Name, z.name) {
		return fmt.Sprintf("RRSet with DNS name %s is not permitted in zone %s", set.Name, z.name)
	}
	if len(set.Values) != 1 || !strings.HasPrefix(set.Values[0], `"`) || !strings.HasSuffix(set.Values[0], `"`) || !set.MultiValueAnswer || set.SetIdentifier == "" {
		return "Invalid request"
	}
	sets := v.sets[z.id]
	at := -1
	for i, other := range sets {
		if other.Name != set.Name {
			continue
		}
		switch {
		case other.Type == "CNAME" && action == "UPSERT":
			return fmt.Sprintf("RRSet of type TXT with DNS name %s is not permitted because a conflicting RRSet of type  CNAME with the same DNS name already exists in zone %s", set.Name, z.name)
		case other.Type == set.Type && !other.MultiValueAnswer && action == "UPSERT":
			return fmt.Sprintf("RRSet with DNS name %s, type TXT, SetIdentifier %s cannot be created because a non multivalue answer rrset exists with the same name and type.", set.Name, set.SetIdentifier)
		case other.Type == set.Type && other.SetIdentifier == set.SetIdentifier:
			at = i
		}
	}
	switch {
	case action == "UPSERT" && at < 0:
		v.sets[z.id] = append(sets, set)
	case action == "UPSERT":
		sets[at] = set
	case action != "DELETE":
		return "Invalid request"
	case at < 0:
		return fmt.Sprintf("Tried to delete resource record set [name='%s', type='TXT', set-identifier='%s'] but it was not found", set.Name, set.SetIdentifier)
	case sets[at].TTL != set.TTL || !slices.Equal(sets[at].Values, set.Values):
		return fmt.Sprintf("Tried to delete resource record set [name='%s', type='TXT', set-identifier='%s'] but the values provided do not match the current values", set.Name, set.SetIdentifier)
	default:
		v.sets[z.id] = slices.Delete(sets, at, at+1)
	}
	return ""
}

// getChange answers as the example of API_GetChange.html.
func (v *vendor) getChange(w http.ResponseWriter, id string) {
	if id > fmt.Sprintf("C%013d", v.changes) {
		refuse(w, 404, "NoSuchChange", "Could not find resource with ID: "+id)
		return
	}
	status := "INSYNC"
	if v.pending > 0 {
		v.pending--
		status = "PENDING"
	}
	v.info(w, "GetChangeResponse", id, status)
}

// values are the TXT values at a name in all zones.
func (v *vendor) values(fqdn string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var values []string
	for _, sets := range v.sets {
		for _, set := range sets {
			if set.Name == strings.ToLower(fqdn) && set.Type == "TXT" {
				values = append(values, strings.Trim(set.Values[0], `"`))
			}
		}
	}
	return values
}

// assume answers as the example of API_AssumeRole.html.
func (v *vendor) assume(w http.ResponseWriter, key string, form url.Values) {
	v.forms = append(v.forms, form)
	switch {
	case form.Get("Action") != "AssumeRole" || form.Get("Version") != "2011-06-15":
		refuse(w, 400, "InvalidAction", "Could not find operation")
	case v.read[key]:
		refuse(w, 403, "AccessDenied", "User: arn:aws:iam::123456789012:user/weak is not authorized to perform: sts:AssumeRole on resource: "+form.Get("RoleArn"))
	case key == nodeID:
		refuse(w, 403, "AccessDenied", "User: arn:aws:sts::123456789012:assumed-role/node-role/i-0123 is not authorized to perform: sts:AssumeRole on resource: "+form.Get("RoleArn"))
	default:
		v.grant(w, "AssumeRole")
	}
}

// assumeByWebIdentity answers as the example of API_AssumeRoleWithWebIdentity.html, an
// operation without a signature.
func (v *vendor) assumeByWebIdentity(w http.ResponseWriter, r *http.Request, form url.Values) {
	v.forms = append(v.forms, form)
	v.seen = append(v.seen, "AssumeRoleWithWebIdentity "+r.Host)
	var claims struct{ Sub, Aud string }
	if parts := strings.Split(form.Get("WebIdentityToken"), "."); len(parts) == 3 {
		text, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(text, &claims)
	}
	switch {
	case r.Header.Get("Authorization") != "":
		refuse(w, 400, "InvalidAction", "signed")
	case claims.Aud != "sts.amazonaws.com":
		refuse(w, 400, "InvalidIdentityToken", "Incorrect token audience")
	case claims.Sub != "system:serviceaccount:ns:dns":
		refuse(w, 403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
	default:
		v.grant(w, "AssumeRoleWithWebIdentity")
	}
}

func (v *vendor) grant(w http.ResponseWriter, operation string) {
	id := fmt.Sprintf("ASIA%016d", len(v.forms))
	v.keys[id] = aws.Credentials{AccessKeyID: id, SecretAccessKey: "temporary" + id, SessionToken: "token" + id}
	_, _ = fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult>
<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/demo/TestAR</Arn><AssumedRoleId>ARO123EXAMPLE123:TestAR</AssumedRoleId></AssumedRoleUser>
<Credentials><AccessKeyId>%[2]s</AccessKeyId><SecretAccessKey>temporary%[2]s</SecretAccessKey><SessionToken>token%[2]s</SessionToken><Expiration>%[3]s</Expiration></Credentials>
<PackedPolicySize>6</PackedPolicySize></%[1]sResult><ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata></%[1]sResponse>`,
		operation, id, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}
