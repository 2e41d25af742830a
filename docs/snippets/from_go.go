// SPDX-License-Identifier: MIT

// The Go side of docs/coming-from.md: a program by itself, with golang.org/x/sync/errgroup.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

type page struct {
	url   string
	delay time.Duration
	err   error
}

func fetch(ctx context.Context, p page) (int, error) {
	select {
	case <-time.After(p.delay):
		if p.err != nil {
			return 0, p.err
		}
		return 200, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// [taskgroup]
func both(ctx context.Context) error {
	var a, b int
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { a, err = fetch(ctx, page{url: "/a"}); return })
	group.Go(func() (err error) { b, err = fetch(ctx, page{url: "/b"}); return })
	if err := group.Wait(); err != nil {
		return err
	}
	fmt.Println(a, b)
	return nil
}

// [end]

// [except]
func crawl(ctx context.Context, pages []page) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range pages {
		p := p
		group.Go(func() error {
			_, err := fetch(ctx, p)
			if errors.Is(err, syscall.ECONNREFUSED) {
				fmt.Println("skipped:", p.url)
				return nil
			}
			return err
		})
	}
	return group.Wait() // the first error; the others are lost
}

// [end]

// [gather]
func gather(ctx context.Context, pages []page) {
	statuses, errs := make([]int, len(pages)), make([]error, len(pages))
	var wg sync.WaitGroup
	for i, p := range pages {
		wg.Add(1)
		go func(i int, p page) {
			defer wg.Done()
			statuses[i], errs[i] = fetch(ctx, p)
		}(i, p)
	}
	wg.Wait()
	for i, p := range pages {
		fmt.Println(p.url, statuses[i], errs[i])
	}
}

// [end]

type answer struct {
	status int
	err    error
}

// [race]
func fastest(ctx context.Context, mirrors []page) (status int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the losers end some time after we have returned
	answers := make(chan answer, len(mirrors))
	for _, m := range mirrors {
		go func(m page) {
			status, err := fetch(ctx, m)
			answers <- answer{status, err}
		}(m)
	}
	for range mirrors {
		a := <-answers
		if a.err == nil {
			return a.status, nil
		}
		err = a.err
	}
	return 0, err
}

// [end]

// [forget]
func handleRequests(mail page) {
	go func() {
		defer func() {
			if r := recover(); r != nil {
				log.Print("a panic in the background: ", r)
			}
		}()
		if _, err := fetch(context.Background(), mail); err != nil {
			log.Print("a failure in the background: ", err)
		}
	}()
}

// [end]

// [start]
func withListener(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // in the parent, so that its error is the parent's
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := listener.Accept(); err != nil {
				return
			}
		}
	}()
	fmt.Println("listens on", listener.Addr().(*net.TCPAddr).Port)
	listener.Close()
	<-done
	return nil
}

// [end]

// [release]
func withRelease() {
	defer fmt.Println("remove first.sock")
	defer fmt.Println("remove second.sock")
}

// [end]

func query(ctx context.Context) error {
	select {
	case <-time.After(10 * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// [within]
func waitFor(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	err := query(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Println("too late") // or the caller's deadline has passed: both say the same
		return nil
	}
	return err
}

// [end]

// [until]
func timeoutAt(ctx context.Context, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if err := query(ctx); err != nil {
		return err
	}
	return query(ctx)
}

// [end]

func sendBye(ctx context.Context) error {
	select {
	case <-time.After(time.Millisecond):
		fmt.Println("bye")
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// [shield]
func session(ctx context.Context) error {
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = sendBye(ctx)
	}()
	return query(ctx)
}

// [end]

// [cancel]
func cancelOne(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- session(ctx) }()
	cancel()
	<-done
}

// [end]

// [shutdown]
func worker(ctx context.Context) {
	for {
		select {
		case <-time.After(time.Minute):
		case <-ctx.Done():
			return
		}
		_ = query(context.Background()) // a job, once begun, is finished
	}
}

func serve() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	done := make(chan struct{})
	go func() { defer close(done); worker(ctx) }()
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	<-ctx.Done()
	select {
	case <-done:
		fmt.Println("in good order")
	case <-time.After(10 * time.Second):
		fmt.Println("by force")
	}
}

// [end]

// [values]
type requestID struct{}

func child(ctx context.Context) {
	fmt.Println("request", ctx.Value(requestID{}))
}

func withValue(ctx context.Context) {
	child(context.WithValue(ctx, requestID{}, "r-17"))
}

// [end]

// [channel]
func work(jobs <-chan int) error {
	for job := range jobs {
		fmt.Println("job", job)
	}
	return nil
}

func pipeline(ctx context.Context) error {
	jobs := make(chan int, 2)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return work(jobs) })
	group.Go(func() error {
		defer close(jobs)
		for job := 1; job <= 4; job++ {
			select {
			case jobs <- job:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return group.Wait()
}

// [end]

func putOnDisk(job int) {}

// [mutex]
var mutex sync.Mutex

func save(job int) {
	mutex.Lock() // cannot be cancelled
	defer mutex.Unlock()
	putOnDisk(job)
}

// [end]

// [semaphore]
var connections = make(chan struct{}, 10)

func useConnection(ctx context.Context, job int) error {
	select {
	case connections <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-connections }()
	putOnDisk(job)
	return nil
}

// [end]

// [select]
func next(ctx context.Context, jobs <-chan int, control <-chan struct{}, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case job, ok := <-jobs:
		if !ok {
			fmt.Println("no more jobs")
			return nil
		}
		fmt.Println("job", job)
	case <-control:
		fmt.Println("somebody knocks")
	case <-timer.C:
		fmt.Println("too late")
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// [end]

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	ctx := context.Background()
	pages := []page{{"/slow", 60 * time.Millisecond, nil}, {"/down", 30 * time.Millisecond, syscall.ECONNREFUSED}, {url: "/quick"}}
	must(both(ctx))
	must(crawl(ctx, pages))
	gather(ctx, pages)
	status, err := fastest(ctx, pages)
	must(err)
	fmt.Println("the fastest says", status)
	handleRequests(page{url: "mail"})
	must(withListener(ctx))
	withRelease()
	must(waitFor(ctx))
	if err := timeoutAt(ctx, time.Now().Add(20*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		log.Fatal("that was no timeout: ", err)
	}
	cancelOne(ctx)
	withValue(ctx)
	must(pipeline(ctx))
	save(1)
	must(useConnection(ctx, 2))
	jobs := make(chan int, 1)
	jobs <- 7
	must(next(ctx, jobs, nil, time.Now().Add(time.Second)))
	must(next(ctx, jobs, nil, time.Now().Add(20*time.Millisecond)))
	serve()
}
