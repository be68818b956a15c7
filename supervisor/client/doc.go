// Package client is the Go library for a processmanager daemon: the methods of
// the supervisor, over its socket, with typed values and errors.
//
//	pm, err := client.Dial(ctx, client.Config{})
//	if err != nil { … }
//	defer pm.Close()
//	status, err := pm.Start(ctx, process.Spec{Name: "web", Command: "exec ./web"})
//	if errors.Is(err, process.ErrExists) { … }
//
// The zero [Config] finds the daemon of this user and its secret. A context's
// deadline bounds the wait for the answer; what was asked for goes on in the
// daemon. A connection that is lost is made again by the next call; calls that
// change nothing are repeated by themselves, those that do end in
// [ErrConnectionLost], because nobody knows how far they came.
//
// The package imports the standard library and this module only.
package client
