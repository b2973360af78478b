package certificate

import "github.com/everleaf/everleaf/internal/facts"

// recallIssuances tells the state which issuances nobody has asked for, and remembers
// what the present request says of them: a request that has ended may be deleted.
func (w *work) recallIssuances() {
	known := w.issuances.Find(w.subject.NamespacedName, w.State.Object.UID)
	if known == nil {
		known = &facts.Row{}
	}
	w.State.Remembered = *known
	w.rememberIssuances(w.State.Known(w.State.Current(), w.Clock.Now()))
}

// rememberIssuances keeps the row of an issuance as long as there is anything in it.
func (w *work) rememberIssuances(row facts.Row) {
	w.State.Remembered = row
	if len(row.At) == 0 {
		w.issuances.Drop(w.subject.NamespacedName)
		return
	}
	*w.issuances.Of(w.subject.NamespacedName, w.State.Object.UID, nil) = row
}
