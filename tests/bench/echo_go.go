// SPDX-License-Identifier: MIT

// The TCP echo server as one who knows Go well would write it.
//
// A goroutine a connection, which reads and writes as if it blocked, with one buffer for both. Not io.Copy: between two
// sockets that becomes splice(2), through a pipe. As many threads as the program may use processors.
package main

import (
	"fmt"
	"net"
	"os"
)

const bufferSize = 1 << 16

func fail(what string, err error) {
	fmt.Fprintf(os.Stderr, "echo_go: %s: %v\n", what, err)
	os.Exit(1)
}

// A write returns when all is written; Go sets TCP_NODELAY by itself.
func serve(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, bufferSize)
	for {
		size, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:size]); err != nil {
			return
		}
	}
}

func main() {
	if len(os.Args) != 3 || os.Args[1] != "--listen" {
		fmt.Fprintln(os.Stderr, "usage: echo_go --listen ADDRESS:PORT")
		os.Exit(2)
	}
	listener, err := net.Listen("tcp4", os.Args[2])
	if err != nil {
		fail("listen", err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	for {
		connection, err := listener.Accept()
		if err != nil {
			fail("accept", err)
		}
		go serve(connection)
	}
}
