package main

import (
	"math/bits"
	"time"
)

// subBuckets is the resolution: a value is known to one part in 128.
const subBuckets = 128

// histogram counts durations in buckets whose width grows with their value.
type histogram struct {
	buckets [64 * subBuckets]uint64
	count   uint64
}

func (h *histogram) add(d time.Duration) {
	h.buckets[bucketOf(uint64(max(d, 0)))]++
	h.count++
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.buckets {
		h.buckets[i] += n
	}
	h.count += other.count
}

// quantile returns the duration, in microseconds, below which the share q of all values lies.
func (h *histogram) quantile(q float64) float64 {
	wanted := uint64(q*float64(h.count) + 0.5)
	var seen uint64
	for i, n := range h.buckets {
		seen += n
		if n > 0 && seen >= wanted {
			return float64(middleOf(i)) / 1000
		}
	}
	return 0
}

func bucketOf(nanoseconds uint64) int {
	shift := max(0, bits.Len64(nanoseconds)-bits.Len64(subBuckets))
	return shift*subBuckets + int(nanoseconds>>shift)
}

func middleOf(bucket int) uint64 {
	if bucket < 2*subBuckets {
		return uint64(bucket)
	}
	shift := bucket/subBuckets - 1
	return uint64(bucket-shift*subBuckets)<<shift + uint64(1)<<shift/2
}
