// SPDX-License-Identifier: MIT

// What a sleep costs among very many goroutines: `sleepers_go N`, of which each sleeps three times from 1 to 500 ms.
// The processor time of the whole process, a sleep, as `bench_scale sleepers N` tells it of tasks. One line of JSON.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const sleeps = 3

func sleepThrice(random uint64, done *sync.WaitGroup) {
	defer done.Done()
	for i := 0; i < sleeps; i++ {
		random = random*6364136223846793005 + 1442695040888963407
		time.Sleep(time.Millisecond + time.Duration((random>>33)%uint64(499*time.Millisecond)))
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sleepers_go N")
		os.Exit(2)
	}
	count, err := strconv.ParseUint(os.Args[1], 10, 32)
	if err != nil || count == 0 {
		fmt.Fprintln(os.Stderr, "sleepers_go: N is a number from 1")
		os.Exit(2)
	}

	var done sync.WaitGroup
	done.Add(int(count))
	for i := uint64(1); i <= count; i++ {
		go sleepThrice(i, &done)
	}
	done.Wait()

	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fmt.Fprintf(os.Stderr, "sleepers_go: getrusage: %v\n", err)
		os.Exit(1)
	}
	cpu := float64(usage.Utime.Nano() + usage.Stime.Nano())
	fmt.Printf("{\"tasks\": %d, \"cpu_ns_per_sleep\": %.1f}\n", count, cpu/float64(count*sleeps))
}
