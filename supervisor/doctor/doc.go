// Package doctor examines the host that a daemon works on, or is to work on, and
// says what follows for accounting and limits.
//
// # Model
//
// An examination first looks at the cgroup tree, then goes through a list of
// checks, each of which reads one subject and gives its findings:
//
//	Examine ── look     what there is of the cgroup tree (tree.go)
//	   └────── checks   hierarchy, root, kill, controllers   (groups.go)
//	                    lingering                            (user.go)
//	                    kernel                               (kernel.go)
//	                    open files, processes, inotify, pipes (limits.go)
//	                    state, runtime                       (places.go)
//	                    socket, listen                       (access.go)
//
// It never fails: what cannot be read is a finding. It changes nothing, except that
// it makes and removes a group, for nothing else tells whether groups can be
// made. A running daemon is examined from within, by its worker: the limits are
// those of the process that examines.
//
// A finding is a problem if the daemon cannot start or keep its promises, and a
// note if it works with less: without some figure or limit, or for fewer processes
// than enough.
package doctor
