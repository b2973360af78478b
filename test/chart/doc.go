// Package chart tests the Helm chart: it has helm render it and looks at the objects.
package chart
