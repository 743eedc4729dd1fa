package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	bufferBytes       = 256 << 10
	streamWindow      = 1 << 20
	connectionWindow  = 1 << 30
	maxFrame          = 16 << 10
	protocolWindow    = 65535 // RFC 9113, section 6.9.2: every window's first size
	protocolTableSize = 4096  // RFC 7541, section 4.2 with RFC 9113, section 6.5.2
)

// call is one question under way.
type call struct {
	question    int
	since       time.Time // when it was, or was intended to be, sent
	httpStatus  int
	grpcStatus  int
	grpcMessage string
	data        []byte
	broken      string
}

// connection is one HTTP/2 connection. Frames are built by hand: no stream objects, no goroutine per call, one system
// call for all that became ready together.
type connection struct {
	run     *run
	wire    net.Conn
	in      *bufio.Reader
	out     *bufio.Writer
	framer  *http2.Framer
	decoder *hpack.Decoder
	encoder *hpack.Encoder
	block   bytes.Buffer

	mu       sync.Mutex // guards what follows; in a closed loop nobody contends
	calls    map[uint32]*call
	free     []*call
	decoding *call
	nextID   uint32
	window   int64 // how much more DATA the server takes
	waiting  []*call
	received int
	steady   []byte // the header block once every field stands in the server's table
	latency  histogram
	lateness histogram
	done     int
	wrong    int
	first    string
}

func open(r *run, wire net.Conn) (*connection, error) {
	c := &connection{
		run:    r,
		wire:   wire,
		in:     bufio.NewReaderSize(wire, bufferBytes),
		out:    bufio.NewWriterSize(wire, bufferBytes),
		calls:  map[uint32]*call{},
		nextID: 1,
		window: protocolWindow,
	}
	c.framer = http2.NewFramer(c.out, c.in)
	c.framer.SetReuseFrames()
	c.encoder = hpack.NewEncoder(&c.block)
	c.decoder = hpack.NewDecoder(protocolTableSize, c.field)
	if _, err := c.out.WriteString(http2.ClientPreface); err != nil {
		return nil, err
	}
	settings := []http2.Setting{{ID: http2.SettingEnablePush}, {ID: http2.SettingInitialWindowSize, Val: streamWindow}}
	if err := c.framer.WriteSettings(settings...); err != nil {
		return nil, err
	}
	if err := c.framer.WriteWindowUpdate(0, connectionWindow-protocolWindow); err != nil {
		return nil, err
	}
	if err := c.out.Flush(); err != nil {
		return nil, err
	}
	frame, err := c.framer.ReadFrame()
	if err != nil {
		return nil, err
	}
	if _, ok := frame.(*http2.SettingsFrame); !ok {
		return nil, fmt.Errorf("the server begins with %v, not with SETTINGS", frame.Header().Type)
	}
	return c, c.handle(frame)
}

// send asks a question; since is the instant from which its latency counts.
func (c *connection) send(number int, since time.Time) error {
	var one *call
	if n := len(c.free); n > 0 {
		one, c.free = c.free[n-1], c.free[:n-1]
		*one = call{data: one.data[:0]}
	} else {
		one = &call{}
	}
	one.question, one.since = number, since
	if c.window < c.size(one) {
		c.waiting = append(c.waiting, one)
		return nil
	}
	return c.write(one)
}

func (c *connection) size(one *call) int64 {
	if c.run.http {
		return 0
	}
	return int64(5 + len(c.run.questions[one.question].payload))
}

func (c *connection) write(one *call) error {
	id := c.nextID
	c.nextID += 2
	c.calls[id] = one
	payload := c.run.questions[one.question].payload
	headers := http2.HeadersFrameParam{StreamID: id, BlockFragment: c.headers(payload), EndHeaders: true, EndStream: c.run.http}
	if err := c.framer.WriteHeaders(headers); err != nil || c.run.http {
		return err
	}
	size := c.size(one)
	if size > maxFrame {
		return fmt.Errorf("a question of %d bytes does not fit into one frame", size)
	}
	c.window -= size
	length := len(payload)
	prefix := [14]byte{byte(size >> 16), byte(size >> 8), byte(size), byte(http2.FrameData), byte(http2.FlagDataEndStream),
		byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id),
		0, byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)}
	if _, err := c.out.Write(prefix[:]); err != nil {
		return err
	}
	_, err := c.out.Write(payload)
	return err
}

// headers returns the header block of the next request.
func (c *connection) headers(payload []byte) []byte {
	c.block.Reset()
	if c.run.http {
		for line := range strings.Lines(string(payload)) {
			split := strings.Index(line[1:], ": ") + 1
			// Never indexed, so that a block means the same wherever it is sent.
			c.encode(line[:split], strings.TrimSuffix(line[split+2:], "\n"), true)
		}
		return c.block.Bytes()
	}
	if c.steady != nil {
		return c.steady
	}
	for _, field := range c.run.metadata {
		c.encode(field[0], field[1], false)
	}
	if c.nextID > 3 { // The first block filled the server's table; from the second on all blocks are the same.
		c.steady = bytes.Clone(c.block.Bytes())
	}
	return c.block.Bytes()
}

func (c *connection) encode(name, value string, sensitive bool) {
	// Writing to a buffer does not fail.
	_ = c.encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: sensitive})
}

// serve handles frames until the connection ends.
func (c *connection) serve() error {
	for {
		if c.in.Buffered() == 0 {
			c.mu.Lock()
			err := c.out.Flush()
			c.mu.Unlock()
			if err != nil {
				return err
			}
		}
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return err
		}
		c.mu.Lock()
		err = c.handle(frame)
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func (c *connection) handle(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.HeadersFrame:
		return c.onHeaders(f)
	case *http2.DataFrame:
		return c.onData(f)
	case *http2.SettingsFrame:
		return c.onSettings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.framer.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			c.window += int64(f.Increment)
			return c.sendWaiting()
		}
	case *http2.RSTStreamFrame:
		if one := c.calls[f.StreamID]; one != nil {
			one.broken = "the server reset the stream: " + f.ErrCode.String()
			return c.finish(f.StreamID, one)
		}
	case *http2.GoAwayFrame:
		return fmt.Errorf("the server goes away: %v %s", f.ErrCode, f.DebugData())
	}
	return nil
}

func (c *connection) onSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if size, ok := f.Value(http2.SettingHeaderTableSize); ok {
		c.encoder.SetMaxDynamicTableSizeLimit(size)
		c.steady = nil
	}
	if size, ok := f.Value(http2.SettingInitialWindowSize); ok && size < maxFrame {
		return fmt.Errorf("the server's windows of %d bytes are too small for this program", size)
	}
	return c.framer.WriteSettingsAck()
}

func (c *connection) sendWaiting() error {
	for len(c.waiting) > 0 && c.window >= c.size(c.waiting[0]) {
		one := c.waiting[0]
		c.waiting = c.waiting[1:]
		if err := c.write(one); err != nil {
			return err
		}
	}
	return nil
}

func (c *connection) onHeaders(f *http2.HeadersFrame) error {
	if !f.HeadersEnded() {
		return fmt.Errorf("an answer's headers do not fit into one frame")
	}
	c.decoding = c.calls[f.StreamID]
	if _, err := c.decoder.Write(f.HeaderBlockFragment()); err != nil {
		return err
	}
	if err := c.decoder.Close(); err != nil {
		return err
	}
	if one := c.decoding; one != nil && f.StreamEnded() {
		return c.finish(f.StreamID, one)
	}
	return nil
}

func (c *connection) field(f hpack.HeaderField) {
	if c.decoding == nil {
		return
	}
	switch f.Name {
	case ":status":
		c.decoding.httpStatus, _ = strconv.Atoi(f.Value)
	case "grpc-status":
		c.decoding.grpcStatus, _ = strconv.Atoi(f.Value)
	case "grpc-message":
		c.decoding.grpcMessage = f.Value
	}
}

func (c *connection) onData(f *http2.DataFrame) error {
	c.received += int(f.Length)
	if c.received > connectionWindow/2 {
		if err := c.framer.WriteWindowUpdate(0, uint32(c.received)); err != nil {
			return err
		}
		c.received = 0
	}
	one := c.calls[f.StreamID]
	if one == nil {
		return nil
	}
	one.data = append(one.data, f.Data()...)
	if f.StreamEnded() {
		return c.finish(f.StreamID, one)
	}
	return nil
}

// finish judges an answer and, in a closed loop, asks the next question.
func (c *connection) finish(id uint32, one *call) error {
	delete(c.calls, id)
	now := time.Now()
	c.done++
	c.latency.add(now.Sub(one.since))
	if wrong := judge(&c.run.questions[one.question], one, c.run.http); wrong != "" {
		if c.wrong == 0 {
			c.first = fmt.Sprintf("question %d: %s", one.question, wrong)
		}
		c.wrong++
	}
	c.free = append(c.free, one)
	defer c.run.underWay.Done()
	if number, more := c.run.next(now); more {
		c.run.underWay.Add(1)
		return c.send(number, now)
	}
	return nil
}
