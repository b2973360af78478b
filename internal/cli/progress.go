package cli

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// progress is a line on a terminal that says what a command waits for. Elsewhere it is
// silent.
type progress struct {
	// out is nil if nobody would see the line.
	out   io.Writer
	width int
	shown string
}

func newProgress(stream io.Writer) *progress {
	if !isTerminal(stream) {
		return &progress{}
	}
	p := &progress{out: stream, width: 80}
	if file, ok := stream.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			p.width = width
		}
	}
	return p
}

// set shows a text in place of the one before. It is cut to one line.
func (p *progress) set(text string) {
	if p.out == nil || text == p.shown {
		return
	}
	p.shown = text
	line := []rune(text)
	if len(line) >= p.width {
		line = append(line[:max(p.width-2, 0)], '…')
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", string(line))
}

// clear removes the line.
func (p *progress) clear() {
	if p.out == nil || p.shown == "" {
		return
	}
	p.shown = ""
	fmt.Fprint(p.out, "\r\x1b[K")
}
