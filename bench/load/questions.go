package main

import (
	"encoding/binary"
	"errors"
	"os"
)

// question is one entry of the questions file: what is asked and what must be answered.
type question struct {
	// payload is a serialised CheckRequest, or with -http the header lines of a request ("name: value\n").
	payload []byte
	// status is the HTTP status of the expected denial; 0 expects an allow. With -http it is the status of the answer.
	status int
	// reason is the expected status.message of a denial; empty accepts any.
	reason string
}

var errTruncated = errors.New("the questions file ends in the middle of an entry")

// loadQuestions reads entries of: u32 length, payload, u16 status, u8 length, reason; integers big endian.
func loadQuestions(path string) ([]question, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []question
	for len(raw) > 0 {
		var q question
		if q, raw, err = nextQuestion(raw); err != nil {
			return nil, err
		}
		all = append(all, q)
	}
	if len(all) == 0 {
		return nil, errors.New("the questions file is empty")
	}
	return all, nil
}

func nextQuestion(raw []byte) (question, []byte, error) {
	if len(raw) < 4 {
		return question{}, nil, errTruncated
	}
	size := int(binary.BigEndian.Uint32(raw))
	raw = raw[4:]
	if len(raw) < size+3 {
		return question{}, nil, errTruncated
	}
	q := question{payload: raw[:size], status: int(binary.BigEndian.Uint16(raw[size:]))}
	reasonSize := int(raw[size+2])
	raw = raw[size+3:]
	if len(raw) < reasonSize {
		return question{}, nil, errTruncated
	}
	q.reason = string(raw[:reasonSize])
	return q, raw[reasonSize:], nil
}
