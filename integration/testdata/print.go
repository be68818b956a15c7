// The least that a program in Go does. See BenchmarkClient.
package main

import "os"

func main() { os.Stdout.WriteString("running\n") }
