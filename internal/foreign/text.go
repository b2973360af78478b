package foreign

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A server's texts are copied to statuses, which users compare and controllers
// watch. What differs between equal failures is therefore removed.
var (
	timestamp = regexp.MustCompile(`\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|[+-]\d{2}:?\d{2}))?( [A-Z]{3,4})?( m=[+-][\d.]+)?`)
	uuid      = regexp.MustCompile(`\b[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b`)
	token     = regexp.MustCompile(`[0-9A-Za-z_-]{16,}`)
)

// Text makes a foreign text fit for a status: one line of printable
// characters, ids and times masked, at most limit bytes.
func Text(s string, limit int) string {
	// Masks can shorten the text, so the limit here exceeds the result's.
	s = oneLine(s, 4*limit)
	s = timestamp.ReplaceAllString(s, "<time>")
	s = uuid.ReplaceAllString(s, "<id>")
	s = maskTokens(s)
	return truncate(s, limit)
}

// Word returns s, or "" if s contains spaces or exceeds limit bytes.
func Word(s string, limit int) string {
	if len(s) > limit || !utf8.ValidString(s) {
		return ""
	}
	for _, r := range s {
		if r == ' ' || !unicode.IsPrint(r) {
			return ""
		}
	}
	return s
}

func maskTokens(s string) string {
	var b strings.Builder
	end := 0
	for _, at := range token.FindAllStringIndex(s, -1) {
		dotted := at[0] > 0 && s[at[0]-1] == '.' || at[1] < len(s)-1 && s[at[1]] == '.' && s[at[1]+1] != ' '
		if dotted || !looksRandom(s[at[0]:at[1]]) {
			continue // a label of a domain name is evidence, even if it looks random
		}
		b.WriteString(s[end:at[0]])
		b.WriteString("<id>")
		end = at[1]
	}
	b.WriteString(s[end:])
	return b.String()
}

// looksRandom reports whether a word of at least 16 characters is a generated
// identifier: hexadecimal with a digit, or mixed case with digits. The value of
// a DNS-01 TXT record is not masked: it is evidence, and stable.
func looksRandom(word string) bool {
	if len(word) == base64SHA256 {
		return false
	}
	var digit, upper, lower, notHex bool
	for i := range len(word) {
		c := word[i]
		switch {
		case c >= '0' && c <= '9':
			digit = true
		case c >= 'A' && c <= 'Z':
			upper = true
			notHex = notHex || c > 'F'
		case c >= 'a' && c <= 'z':
			lower = true
			notHex = notHex || c > 'f'
		default:
			notHex = true
		}
	}
	return digit && (!notHex || upper && lower)
}

// base64SHA256 is the length of a SHA-256 digest in unpadded base64.
const base64SHA256 = 43

// oneLine replaces every run of spaces, control characters and invalid UTF-8 by
// one space.
func oneLine(s string, limit int) string {
	var b strings.Builder
	space := false
	for _, r := range truncate(s, limit) {
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

func truncate(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const ellipsis = "…"
	limit -= len(ellipsis)
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + ellipsis
}
