// Package foreign makes what servers of others send fit for a status and a log:
// texts without ids, times, secrets and line breaks, waits that are bounded, and
// stable phrases for failed connections. Equal failures have equal texts.
package foreign
