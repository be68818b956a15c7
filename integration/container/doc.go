// Package container tests the daemon in containers of a real engine, podman with crun, in a guest
// machine (guest -systemd -install podman,…): as the first process and not, with the cgroup
// namespaces that there are, for root and for an ordinary user.
//
// There is no registry. The base of the image is imported from busybox, under the name that the
// Containerfile in testdata has for it; that file is the example in docs/containers.md.
package container
