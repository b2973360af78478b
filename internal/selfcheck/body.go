package selfcheck

import (
	"bytes"
	"strings"
)

// contentOf says what a body is. It may be cut off after maxBody bytes. mediaType is the
// Content-Type of the answer.
func contentOf(body []byte, mediaType, token, key string) Content {
	// A CA ignores white space at the end (RFC 8555 section 8.3).
	text := string(bytes.TrimRight(body, " \t\r\n"))
	before, after, _ := strings.Cut(text, ".")
	switch {
	case text == key && key != "":
		return RightKey
	case text == "":
		return Empty
	case before == token && isThumbprint(after):
		return OtherAccount
	case isToken(before) && isThumbprint(after):
		return OtherChallenge
	case strings.HasPrefix(strings.ToLower(mediaType), "text/html"), isPage(text):
		return Page
	default:
		return OtherContent
	}
}

// isThumbprint reports whether a text can be the SHA-256 thumbprint of an account key in
// unpadded base64url (RFC 8555 section 8.1).
func isThumbprint(text string) bool { return len(text) == 43 && isBase64URL(text) }

// isToken reports whether a text can be a token: at least 128 bits of entropy (RFC 8555
// section 8.3).
func isToken(text string) bool { return len(text) >= 22 && len(text) <= 256 && isBase64URL(text) }

func isBase64URL(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// isPage reports whether a text begins as an HTML document.
func isPage(text string) bool {
	begin := strings.ToLower(strings.TrimLeft(strings.TrimPrefix(text[:min(len(text), 512)], "\ufeff"), " \t\r\n"))
	for _, tag := range []string{"<!doctype html", "<html", "<head", "<body", "<!--", "<script", "<title"} {
		if strings.HasPrefix(begin, tag) {
			return true
		}
	}
	return false
}
