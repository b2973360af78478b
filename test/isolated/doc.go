// Package isolated runs the tests of a package in namespaces and cgroups of their own,
// so that they may do to "their" machine what a node does to its own: mount, route,
// filter, start daemons. Nothing of it survives the tests, however they end.
//
// Four processes of the same program follow each other:
//
//	go test's   waits for the guardian. Its end, whatever the cause, is the end of all.
//	guardian    makes the cgroups, starts the init and removes the cgroups when the init
//	            has ended. It is not in the namespaces.
//	init        is process 1 of the new namespaces, mounts what they need, and collects
//	            orphans. When it ends, the kernel kills what is left in them; mounts,
//	            interfaces and packet filters go with the namespaces.
//	tests       run m.Run.
package isolated
