package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	maxSeconds  = 600
	maxRequests = 50_000_000
)

type genConfig struct {
	maker
	target             string
	conns, inflight    int
	requests, payloads int
	seconds, rate      float64
	gzip               bool
	anomaly, anomalyAt float64
	dump               string
	timeout            time.Duration
	pool, odd          []payload
}

// payload is one pre-serialized request.
type payload struct {
	wire      []byte // the bytes sent: gzip if requested
	plain     int    // its size as protobuf
	anomalous int    // anomalous records in it
}

func parseGen(args []string) (*genConfig, error) {
	c := &genConfig{}
	fs := flag.NewFlagSet("gen", flag.ExitOnError)
	fs.StringVar(&c.signal, "signal", "logs", "logs, traces or metrics")
	fs.IntVar(&c.records, "records", 1000, "log records, spans or data points a request")
	fs.IntVar(&c.services, "services", 1, "distinct service.name resources")
	fs.IntVar(&c.resources, "resources", 1, "resources a request (1 as an SDK sends, more as an upstream Collector sends)")
	fs.Uint64Var(&c.seed, "seed", 1, "seed; equal settings give equal bytes")
	fs.StringVar(&c.target, "target", "", "OTLP/gRPC server, loopback only (default 127.0.0.1:4317, or nothing with -dump)")
	fs.IntVar(&c.conns, "conns", 2, "gRPC connections")
	fs.IntVar(&c.inflight, "inflight", 4, "requests in flight a connection")
	fs.IntVar(&c.requests, "requests", 0, "send this many requests (all connections together)")
	fs.Float64Var(&c.seconds, "seconds", 0, "stop after this many seconds (with -requests: whichever comes first)")
	fs.Float64Var(&c.rate, "rate", 0, "records a second, evenly paced, open loop (0: as fast as answered)")
	fs.IntVar(&c.payloads, "payloads", -1, "distinct requests kept in memory and cycled (0: one for each of -requests; default 64, with -dump 0)")
	fs.BoolVar(&c.gzip, "gzip", false, "gzip requests (compressed once, before the run)")
	fs.Float64Var(&c.anomaly, "anomaly", 0, "share of the requests that form one burst of anomalous records, e.g. 0.02")
	fs.Float64Var(&c.anomalyAt, "anomaly-at", 0.5, "where in the run the burst starts, 0 to 1")
	fs.Float64Var(&c.density, "anomaly-density", 1, "share of anomalous records within the burst's requests")
	fs.BoolVar(&c.label, "label", false, "mark anomalous records with the attribute otelload.anomaly=true (ground truth)")
	fs.StringVar(&c.dump, "dump", "", "write the requests to FILE, each behind a 4-byte big-endian length; sends only if -target is given too")
	fs.DurationVar(&c.timeout, "timeout", 10*time.Second, "deadline of one request")
	_ = fs.Parse(args)

	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if c.target == "" && c.dump == "" {
		c.target = "127.0.0.1:4317"
	}
	if c.target != "" {
		if err := requireLoopback(c.target); err != nil {
			return nil, err
		}
	}
	if c.payloads < 0 {
		c.payloads = 64
		if c.dump != "" {
			c.payloads = 0
		}
	}
	c.startNS = defaultStart
	unit := func(x float64) bool { return x >= 0 && x <= 1 }
	switch {
	case c.signal != "logs" && c.signal != "traces" && c.signal != "metrics":
		return nil, fmt.Errorf("unknown -signal %q", c.signal)
	case c.requests <= 0 && c.seconds <= 0:
		return nil, errors.New("give -requests or -seconds")
	case c.seconds > maxSeconds || c.requests > maxRequests:
		return nil, fmt.Errorf("at most %d seconds and %d requests", maxSeconds, maxRequests)
	case c.records < 1 || c.services < 1 || c.resources < 1 || c.resources > c.records || c.conns < 1 || c.conns > 256 ||
		c.inflight < 1 || c.inflight > 1024:
		return nil, errors.New("-records, -services, -resources, -conns, -inflight: out of range")
	case !unit(c.anomaly) || !unit(c.anomalyAt) || !unit(c.density):
		return nil, errors.New("-anomaly, -anomaly-at and -anomaly-density are shares from 0 to 1")
	case c.dump != "" && c.requests <= 0:
		return nil, errors.New("-dump needs -requests")
	case c.payloads == 0 && c.requests <= 0:
		return nil, errors.New("-payloads 0 needs -requests")
	}
	return c, nil
}

// burst is the half-open range of anomalous requests; it is meaningful with -requests.
func (c *genConfig) burst() (from, to int) {
	if c.anomaly == 0 || c.requests <= 0 {
		return 0, 0
	}
	n := max(1, int(math.Round(c.anomaly*float64(c.requests))))
	from = min(int(c.anomalyAt*float64(c.requests)), c.requests-n)
	return from, from + n
}

// isOdd reports whether request i, started elapsed after the run's start, is part of the burst.
func (c *genConfig) isOdd(i int, elapsed time.Duration) bool {
	if c.anomaly == 0 {
		return false
	}
	if c.requests > 0 {
		from, to := c.burst()
		return i >= from && i < to
	}
	at := elapsed.Seconds() / c.seconds
	return at >= c.anomalyAt && at < c.anomalyAt+c.anomaly
}

func (c *genConfig) make(i int, odd bool) payload {
	b, n := c.request(i, odd)
	p := payload{wire: b, plain: len(b), anomalous: n}
	if c.gzip {
		p.wire = gzipBytes(b)
	}
	return p
}

// prepare fills the pools. With -payloads 0 pool[i] is request i itself; otherwise request i is pool[i % len].
func (c *genConfig) prepare() {
	if c.payloads == 0 {
		c.pool = make([]payload, c.requests)
		parallel(c.requests, func(i int) { c.pool[i] = c.make(i, c.isOdd(i, 0)) })
		return
	}
	n := c.payloads
	if c.requests > 0 {
		n = min(n, c.requests)
	}
	c.pool = make([]payload, n)
	parallel(n, func(i int) { c.pool[i] = c.make(i, false) })
	if c.anomaly > 0 {
		c.odd = make([]payload, n)
		parallel(n, func(i int) { c.odd[i] = c.make(i, true) })
	}
}

func (c *genConfig) pickPayload(i int, elapsed time.Duration) *payload {
	if c.odd != nil && c.isOdd(i, elapsed) {
		return &c.odd[i%len(c.odd)]
	}
	return &c.pool[i%len(c.pool)]
}

func parallel(n int, f func(int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, 8) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

func (c *genConfig) writeDump() (int64, error) {
	f, err := os.Create(c.dump)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var total int64
	for i := range c.requests {
		// The requests of a dump are made here one by one, so that it may be larger than memory; they are never compressed.
		k := i
		if c.payloads > 0 {
			k = i % c.payloads
		}
		b, _ := c.request(k, c.isOdd(i, 0))
		if err := writeFrame(w, b); err != nil {
			return 0, err
		}
		total += int64(len(b)) + 4
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return total, f.Close()
}

type latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type genResult struct {
	Signal      string           `json:"signal"`
	Requests    int64            `json:"requests"`
	Records     int64            `json:"records"`
	Bytes       int64            `json:"bytes"`
	WireBytes   int64            `json:"wire_bytes"`
	Seconds     float64          `json:"seconds"`
	RecordsPerS float64          `json:"records_per_s"`
	MBPerS      float64          `json:"mb_per_s"`
	LatencyMS   *latency         `json:"latency_ms,omitempty"`
	Errors      map[string]int64 `json:"errors,omitempty"`
	Rejected    int64            `json:"rejected_records"`
	Anomalous   int64            `json:"anomalous_records"`
	Burst       []int            `json:"anomalous_requests,omitempty"` // [from, to), with -requests
	BytesPerRec float64          `json:"bytes_per_record"`
	CPUSeconds  float64          `json:"cpu_s"` // of the sending alone
	PeakRSSMB   float64          `json:"peak_rss_mb"`
	Dump        string           `json:"dump,omitempty"`
	DumpBytes   int64            `json:"dump_bytes,omitempty"`
	Seed        uint64           `json:"seed"`
	Conns       int              `json:"conns"`
	Inflight    int              `json:"inflight"`
	Services    int              `json:"services"`
	PerRequest  int              `json:"records_per_request"`
	RateTarget  float64          `json:"rate_target,omitempty"`
	Gzip        bool             `json:"gzip"`
}

var exportMethod = map[string]string{
	"logs":    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
	"traces":  "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
	"metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}

// rejectedIn reads partial_success out of a response.
func rejectedIn(sig string, b []byte) int64 {
	switch sig {
	case "logs":
		var r collogs.ExportLogsServiceResponse
		if proto.Unmarshal(b, &r) == nil {
			return r.GetPartialSuccess().GetRejectedLogRecords()
		}
	case "traces":
		var r coltrace.ExportTraceServiceResponse
		if proto.Unmarshal(b, &r) == nil {
			return r.GetPartialSuccess().GetRejectedSpans()
		}
	case "metrics":
		var r colmetrics.ExportMetricsServiceResponse
		if proto.Unmarshal(b, &r) == nil {
			return r.GetPartialSuccess().GetRejectedDataPoints()
		}
	}
	return 0
}

// tally holds a worker's own counts, so that the hot path shares nothing but the ticket counter.
type tally struct {
	ok, bytes, wire, rejected, anomalous int64
	latencies                            []float64
	errors                               map[string]int64
}

func runGen(args []string) error {
	c, err := parseGen(args)
	if err != nil {
		return err
	}
	res := genResult{Signal: c.signal, Seed: c.seed, Conns: c.conns, Inflight: c.inflight, Services: c.services,
		PerRequest: c.records, RateTarget: c.rate, Gzip: c.gzip}
	if from, to := c.burst(); to > from {
		res.Burst = []int{from, to}
	}
	if c.dump != "" {
		if res.DumpBytes, err = c.writeDump(); err != nil {
			return err
		}
		res.Dump = c.dump
		if c.target == "" {
			res.Requests, res.Records = int64(c.requests), int64(c.requests)*int64(c.records)
			res.Bytes = res.DumpBytes - 4*res.Requests
			res.BytesPerRec = round(float64(res.Bytes)/float64(res.Records), 1)
			return printJSON(res)
		}
	}

	registerGzip(true)
	c.prepare()
	conns := make([]*grpc.ClientConn, c.conns)
	for i := range conns {
		opts := []grpc.DialOption{
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{}), grpc.MaxCallSendMsgSize(256<<20)),
			grpc.WithWriteBufferSize(128 << 10), grpc.WithReadBufferSize(32 << 10),
			grpc.WithUserAgent("otelload"),
		}
		if c.gzip {
			opts = append(opts, grpc.WithDefaultCallOptions(grpc.UseCompressor("gzip")))
		}
		if conns[i], err = grpc.NewClient("passthrough:///"+c.target, opts...); err != nil {
			return err
		}
		defer conns[i].Close()
	}
	cpu0, _ := usageNow()
	start := time.Now()
	tallies := c.send(conns)
	res.Seconds = time.Since(start).Seconds()
	cpu1, rss := usageNow()

	var lat []float64
	for _, t := range tallies {
		res.Requests += t.ok
		res.Bytes += t.bytes
		res.WireBytes += t.wire
		res.Rejected += t.rejected
		res.Anomalous += t.anomalous
		lat = append(lat, t.latencies...)
		for k, n := range t.errors {
			if res.Errors == nil {
				res.Errors = map[string]int64{}
			}
			res.Errors[k] += n
		}
	}
	res.Records = res.Requests * int64(c.records)
	res.RecordsPerS = round(float64(res.Records)/res.Seconds, 0)
	res.MBPerS = round(float64(res.Bytes)/res.Seconds/1e6, 2)
	if res.Records > 0 {
		res.BytesPerRec = round(float64(res.Bytes)/float64(res.Records), 1)
	}
	res.Seconds = round(res.Seconds, 3)
	res.CPUSeconds, res.PeakRSSMB = round(cpu1-cpu0, 2), round(rss, 1)
	if len(lat) > 0 {
		slices.Sort(lat)
		at := func(q float64) float64 { return round(lat[min(len(lat)-1, int(q*float64(len(lat))))], 3) }
		res.LatencyMS = &latency{at(0.50), at(0.95), at(0.99), round(lat[len(lat)-1], 3)}
	}
	if err := printJSON(res); err != nil {
		return err
	}
	if len(res.Errors) > 0 {
		return errors.New("some requests failed")
	}
	return nil
}

// send runs conns*inflight workers until the requests or the seconds are used up.
func (c *genConfig) send(conns []*grpc.ClientConn) []*tally {
	var next atomic.Int64
	var wg sync.WaitGroup
	method := exportMethod[c.signal]
	start := time.Now()
	var deadline time.Time
	if c.seconds > 0 {
		deadline = start.Add(time.Duration(c.seconds * float64(time.Second)))
	}
	var gap float64 // nanoseconds between requests
	if c.rate > 0 {
		gap = float64(c.records) / c.rate * 1e9
	}
	tallies := make([]*tally, 0, c.conns*c.inflight)
	for range c.inflight {
		for _, conn := range conns {
			t := &tally{errors: map[string]int64{}}
			tallies = append(tallies, t)
			wg.Go(func() {
				var in, out frame
				in.keep = true
				for {
					i := int(next.Add(1)) - 1
					if c.requests > 0 && i >= c.requests {
						return
					}
					began := time.Now()
					if gap > 0 {
						// A worker that is early sleeps and counts from its waking; one that is late counts from
						// when the request was due, so that a stalled server cannot hide its queue.
						due := start.Add(time.Duration(float64(i) * gap))
						if !deadline.IsZero() && due.After(deadline) {
							return
						}
						if wait := due.Sub(began); wait > 0 {
							time.Sleep(wait)
							began = time.Now()
						} else {
							began = due
						}
					}
					if !deadline.IsZero() && time.Now().After(deadline) {
						return
					}
					p := c.pickPayload(i, began.Sub(start))
					out.data = p.wire
					ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
					err := conn.Invoke(ctx, method, &out, &in)
					cancel()
					took := time.Since(began)
					if err != nil {
						t.errors[status.Code(err).String()]++
						if t.ok == 0 {
							time.Sleep(20 * time.Millisecond) // a server that is not up: no busy loop
						}
					} else {
						t.ok++
						t.bytes += int64(p.plain)
						t.wire += int64(len(p.wire))
						t.anomalous += int64(p.anomalous)
						t.latencies = append(t.latencies, float64(took)/1e6)
						if in.size > 0 {
							t.rejected += rejectedIn(c.signal, in.data)
						}
					}
					in.free()
				}
			})
		}
	}
	wg.Wait()
	return tallies
}
