package settings

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
)

const (
	// shortest is the length of the shortest secret that is removed from texts: the
	// removal of shorter ones would make texts unreadable, and guessable.
	shortest = 4
	// shortestPiece is that of a piece of a secret with several lines, and of a part
	// of a base64 text.
	shortestPiece = 8
)

// Scrub removes the secrets from a text, in the forms in which requests have them.
func (e Environment) Scrub(text string) string {
	var forms []string
	names := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(e.secrets)) {
		for form := range e.forms(e.secrets[name]) {
			if _, is := names[form]; !is {
				forms = append(forms, form)
				names[form] = name
			}
		}
	}
	// Of two secrets that begin alike, the longer one is tried first.
	slices.SortFunc(forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	var pairs []string
	for _, form := range forms {
		pairs = append(pairs, form, "<"+names[form]+">")
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// forms are the texts in which a secret can be found.
func (e Environment) forms(secret string) map[string]bool {
	all := map[string]bool{}
	secret = strings.TrimSpace(secret)
	add(all, secret, shortest)
	for _, piece := range pieces(secret) {
		add(all, piece, shortestPiece)
	}
	if len(secret) < shortest {
		return all
	}
	// HTTP's Basic authentication has the base64 form of user:password, and some
	// services take the secret for the user (RFC 7617).
	for _, user := range slices.Concat([]string{""}, slices.Collect(maps.Values(e.Variables))) {
		for _, pair := range []string{user + ":" + secret, secret + ":" + user} {
			all[base64.StdEncoding.EncodeToString([]byte(pair))] = true
		}
	}
	return all
}

// add adds a secret as it is, and as it is in URLs, in JSON and in base64.
func add(all map[string]bool, secret string, least int) {
	if len(secret) < least {
		return
	}
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), inJSON(secret, true), inJSON(secret, false)} {
		all[form] = true
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for _, form := range within(encoding, secret) {
			if len(form) >= shortestPiece {
				all[form] = true
			}
		}
	}
}

// pieces are the lines of a secret with several lines, and the words in them: messages
// quote the line that cannot be read. The borders of PEM are no secret.
func pieces(secret string) []string {
	if !strings.Contains(secret, "\n") {
		return nil
	}
	var found []string
	// A key in a JSON document has its lines in one, with \n for their ends.
	for _, line := range strings.FieldsFunc(strings.ReplaceAll(secret, `\n`, "\n"), func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "-----") {
			continue
		}
		found = append(found, line)
		found = append(found, strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\"',;{}[]", r) })...)
	}
	return slices.DeleteFunc(found, func(piece string) bool { return strings.Contains(piece, "-----") })
}

// inJSON is a text as it is between the quotes of a JSON string.
func inJSON(text string, html bool) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(html)
	if err := encoder.Encode(text); err != nil {
		panic(err) // strings can be encoded
	}
	return strings.TrimSuffix(b.String()[1:], "\"\n")
}

// within are the base64 forms of a text that follows 0, 1 or 2 bytes in a group of 3,
// without the characters that depend on what is before and after it.
func within(encoding *base64.Encoding, text string) []string {
	var forms []string
	for before, skip := range []int{0, 2, 3} {
		raw := append(make([]byte, before), text...)
		encoded := encoding.WithPadding(base64.NoPadding).EncodeToString(raw)
		forms = append(forms, encoded[min(skip, len(encoded)):len(raw)*8/6])
	}
	return forms
}
