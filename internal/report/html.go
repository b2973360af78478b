package report

import (
	_ "embed"
	"html/template"
	"io"
	"time"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"date": func(t *time.Time) string { return date(t) },
	"day":  func(t time.Time) string { return t.Format("2 Jan") },
	"at":   func(t time.Time) string { return t.Format("2 January 2006, 15:04 UTC") },
	// height is the height of a bar in percent.
	"height": func(n, most int) int {
		if n == 0 || most == 0 {
			return 0
		}
		return max(n*100/most, 4)
	},
	"width":      func(u Usage) int { return min(u.Share(), 100) },
	"near":       func(u Usage) bool { return u.Share() >= 80 },
	"limitsNote": limitsNote,
	"names":      short,
}).Parse(pageText))

// attention is a certificate that needs it, with the reason.
type attention struct {
	Certificate
	Why notice
}

// HTML prints a report as one page that needs nothing else: no script, no font and no
// picture from elsewhere.
func HTML(out io.Writer, r Report) error {
	view := struct {
		Report
		// Most is the largest number of the calendar.
		Most      int
		Attention []attention
	}{Report: r}
	for _, w := range r.Calendar {
		view.Most = max(view.Most, w.Renewing, w.Expiring)
	}
	for _, c := range r.Certificates {
		if n := c.notice(); n != nil {
			view.Attention = append(view.Attention, attention{c, *n})
		}
	}
	return pageTemplate.Execute(out, view)
}
