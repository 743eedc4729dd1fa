package main

import (
	"testing"
	"time"
)

func TestQuantilesAreWithinOnePercent(t *testing.T) {
	var h histogram
	for i := 1; i <= 100_000; i++ {
		h.add(time.Duration(i) * time.Microsecond)
	}
	for _, q := range []float64{0.5, 0.99, 0.999} {
		want := q * 100_000
		if got := h.quantile(q); got < want*0.99 || got > want*1.01 {
			t.Errorf("quantile %v: got %v µs, want about %v", q, got, want)
		}
	}
}

func TestBucketsGrowWithTheirValues(t *testing.T) {
	last := -1
	for v := uint64(0); v < 1<<20; v += 37 {
		b := bucketOf(v)
		if b < last {
			t.Fatalf("%d falls into bucket %d, below %d", v, b, last)
		}
		last = b
	}
}
