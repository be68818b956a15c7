// Package metrics tells Prometheus, and whatever else reads OpenMetrics, what the processes
// use and how they are, and monitors whether the daemon is well.
//
// # Model
//
// A [Server] answers GET on three paths, over HTTP: /metrics, /healthz, and / which names
// them. There is no authentication: neither commands, nor environment, nor output are told.
// What is asked for is read when it is asked for. Nobody looks, nothing is read.
//
// The metrics of a process have its name as a label, and at most one more, whose values are
// listed in the table. So there are as many series as there are processes times a fixed
// number. They go when the process is deleted.
//
// # Bounds
//
// Connections are bounded in number, and a request in its size and in the time that it takes
// to come and to be answered. Two scrapes are answered at a time; others wait for a moment and
// are told to come back.
//
// # Implementation
//
// table.go has the metrics of a process, write.go writes them, daemon.go has those of the
// daemon. server.go answers, and limit.go bounds the connections.
//
// The daemon's own metrics are collected and written by client_golang. Those of the processes
// are written here, into what the library writes: it takes some 2 µs for a line, and with
// 1,000 processes there are 40,000.
package metrics
