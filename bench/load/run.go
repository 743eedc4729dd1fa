package main

import (
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// patience is how long answers may take after the last question.
const patience = 5 * time.Second

// run is one measurement.
type run struct {
	questions []question
	metadata  [][2]string
	http      bool
	rate      float64 // questions per second of an open loop; 0 is a closed loop
	limit     int64   // questions at most; 0 is no limit
	asked     atomic.Int64
	end       time.Time
	underWay  sync.WaitGroup
}

// result is what the program prints.
type result struct {
	Checks       int     `json:"checks"`
	Seconds      float64 `json:"seconds"`
	PerSecond    float64 `json:"per_second"`
	P50          float64 `json:"p50_us"`
	P99          float64 `json:"p99_us"`
	P999         float64 `json:"p999_us"`
	LatenessP99  float64 `json:"lateness_p99_us"` // how late this program itself sent, in an open loop
	Errors       int     `json:"errors"`
	FirstError   string  `json:"first_error,omitempty"`
	Unanswered   int     `json:"unanswered"`
	Connections  int     `json:"connections"`
	EachStreams  int     `json:"streams"`
	TargetedRate float64 `json:"rate,omitempty"`
}

// next returns the number of the question to ask in a closed loop, and whether there is one.
func (r *run) next(now time.Time) (int, bool) {
	if r.rate > 0 || now.After(r.end) {
		return 0, false
	}
	return r.take()
}

func (r *run) take() (int, bool) {
	n := r.asked.Add(1) - 1
	if r.limit > 0 && n >= r.limit {
		return 0, false
	}
	return int(n % int64(len(r.questions))), true
}

// measure asks for the given time and waits for the answers.
func (r *run) measure(connections []*connection, streams int, length time.Duration) result {
	start := time.Now()
	r.end = start.Add(length)
	var failure atomic.Pointer[error]
	for _, c := range connections {
		go func() {
			if err := c.serve(); err != nil && !errors.Is(err, net.ErrClosed) {
				failure.CompareAndSwap(nil, &err)
			}
		}()
	}
	if r.rate > 0 {
		r.askOnTime(connections, start, length)
	} else {
		r.fill(connections, streams)
	}
	answered := make(chan struct{})
	go func() { r.underWay.Wait(); close(answered) }()
	select {
	case <-answered:
	case <-time.After(time.Until(r.end) + patience):
	}
	elapsed := time.Since(start)
	total := summary(connections, elapsed)
	if err := failure.Load(); err != nil && total.Unanswered > 0 {
		total.FirstError = describe(*err)
	}
	total.EachStreams, total.TargetedRate = streams, r.rate
	return total
}

func describe(err error) string {
	if errors.Is(err, io.EOF) {
		return "the server closed a connection"
	}
	return err.Error()
}

// fill starts a closed loop: as many questions under way as there are streams.
func (r *run) fill(connections []*connection, streams int) {
	for _, c := range connections {
		c.mu.Lock()
		for range streams {
			number, more := r.take()
			if !more {
				break
			}
			r.underWay.Add(1)
			if c.send(number, time.Now()) != nil {
				break
			}
		}
		_ = c.out.Flush() // A lost connection shows as unanswered questions.
		c.mu.Unlock()
	}
}

// askOnTime asks one question after the other at fixed instants, however long answers take.
func (r *run) askOnTime(connections []*connection, start time.Time, length time.Duration) {
	// The runtime's own timers are as coarse as a millisecond; the kernel's are not.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_TIMERSLACK, 1000, 0)
	every := time.Duration(float64(time.Second) / r.rate)
	for i := range int(length / every) {
		intended := start.Add(time.Duration(i) * every)
		if wait := time.Until(intended); wait > 0 {
			pause := syscall.NsecToTimespec(int64(wait))
			_ = syscall.Nanosleep(&pause, nil) // Woken early is asked early, by microseconds.
		}
		number, more := r.take()
		if !more {
			return
		}
		c := connections[i%len(connections)]
		c.mu.Lock()
		r.underWay.Add(1)
		c.lateness.add(time.Since(intended))
		_ = c.send(number, intended)
		_ = c.out.Flush()
		c.mu.Unlock()
	}
}

func summary(connections []*connection, elapsed time.Duration) result {
	var latency, lateness histogram
	total := result{Connections: len(connections)}
	for _, c := range connections {
		c.mu.Lock()
		latency.merge(&c.latency)
		lateness.merge(&c.lateness)
		total.Checks += c.done
		total.Errors += c.wrong
		total.Unanswered += len(c.calls) + len(c.waiting)
		if total.FirstError == "" {
			total.FirstError = c.first
		}
		_ = c.wire.Close()
		c.mu.Unlock()
	}
	total.Errors += total.Unanswered
	total.Seconds = elapsed.Seconds()
	total.PerSecond = float64(total.Checks) / total.Seconds
	total.P50, total.P99, total.P999 = latency.quantile(0.5), latency.quantile(0.99), latency.quantile(0.999)
	total.LatenessP99 = lateness.quantile(0.99)
	if total.Unanswered > 0 && total.FirstError == "" {
		total.FirstError = "no answer within " + patience.String()
	}
	return total
}

// exitCode is 0 only when every question got its answer.
func (total *result) exitCode() int {
	if total.Errors > 0 || total.Checks == 0 {
		return 1
	}
	return 0
}
