package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const maxMessage = 64 << 20

type sinkTotals struct {
	requests, records, bytes atomic.Int64
}

func runSink(args []string) error {
	fs := flag.NewFlagSet("sink", flag.ExitOnError)
	addr := fs.String("addr", "127.0.0.1:14317", "loopback address to listen on")
	seconds := fs.Float64("seconds", 600, "stop after this long (at most 3600)")
	delay := fs.Duration("delay", 0, "wait this long before each answer (a slow back end)")
	reject := fs.Int64("reject", 0, "answer the first N requests with UNAVAILABLE (a back end that is down)")
	dump := fs.String("dump", "", "write every accepted request to FILE, each behind a 4-byte big-endian length")
	_ = fs.Parse(args)
	if err := requireLoopback(*addr); err != nil {
		return err
	}
	if *seconds <= 0 || *seconds > 3600 {
		return errors.New("-seconds must be above 0 and at most 3600")
	}
	registerGzip(false)

	var out *bufio.Writer
	var outMu sync.Mutex
	if *dump != "" {
		f, err := os.Create(*dump)
		if err != nil {
			return err
		}
		defer f.Close()
		out = bufio.NewWriterSize(f, 1<<20)
		defer out.Flush()
	}

	var rejected, bad, firstNS, lastNS atomic.Int64
	totals := map[string]*sinkTotals{"logs": {}, "traces": {}, "metrics": {}}
	signalOf := func(method string) string {
		for _, s := range []string{"logs", "traces", "metrics"} {
			singular := strings.TrimSuffix(s, "s")
			if strings.Contains(method, ".collector."+s+".") || strings.Contains(method, ".collector."+singular+".") {
				return s
			}
		}
		return ""
	}

	handler := func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		sig := signalOf(method)
		if sig == "" || !strings.HasSuffix(method, "/Export") {
			return status.Errorf(codes.Unimplemented, "no method %s", method)
		}
		f := frame{keep: true}
		if err := stream.RecvMsg(&f); err != nil {
			return err
		}
		defer f.free()
		now := time.Now().UnixNano()
		firstNS.CompareAndSwap(0, now)
		lastNS.Store(now)
		if *delay > 0 {
			time.Sleep(*delay)
		}
		if *reject > 0 && rejected.Load() < *reject && rejected.Add(1) <= *reject {
			return status.Error(codes.Unavailable, "rejected on purpose")
		}
		t := totals[sig]
		n, err := countRecords(sig, f.data)
		if err != nil {
			bad.Add(1)
			return status.Error(codes.InvalidArgument, err.Error())
		}
		t.records.Add(int64(n))
		if out != nil {
			outMu.Lock()
			err = writeFrame(out, f.data)
			outMu.Unlock()
			if err != nil {
				return status.Error(codes.Internal, err.Error())
			}
		}
		t.requests.Add(1)
		t.bytes.Add(int64(f.size))
		return stream.SendMsg(&frame{}) // an empty response message: full success
	}

	lis, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	srv := grpc.NewServer(
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.UnknownServiceHandler(handler),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.InitialWindowSize(1<<20), grpc.InitialConnWindowSize(8<<20),
		grpc.ReadBufferSize(128<<10), grpc.WriteBufferSize(32<<10),
	)
	fmt.Fprintln(os.Stderr, "otelload sink on", lis.Addr())

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(*seconds*float64(time.Second)))
	defer cancel()
	go func() {
		<-ctx.Done()
		srv.Stop()
	}()
	if err := srv.Serve(lis); err != nil {
		return err
	}

	cpu, rss := usageNow()
	span := float64(lastNS.Load()-firstNS.Load()) / 1e9
	var requests, records, bytes int64
	for _, t := range totals {
		requests, records, bytes = requests+t.requests.Load(), records+t.records.Load(), bytes+t.bytes.Load()
	}
	type perSignal struct {
		Requests int64 `json:"requests"`
		Records  int64 `json:"records"`
		Bytes    int64 `json:"bytes"`
	}
	signals := map[string]perSignal{}
	for name, t := range totals {
		if t.requests.Load() > 0 {
			signals[name] = perSignal{t.requests.Load(), t.records.Load(), t.bytes.Load()}
		}
	}
	res := map[string]any{
		"requests": requests, "records": records, "bytes": bytes, "signals": signals,
		"rejected": min(rejected.Load(), *reject), "malformed": bad.Load(),
		"seconds": round(span, 3), "cpu_s": round(cpu, 2), "peak_rss_mb": round(rss, 1),
	}
	if span > 0 {
		res["records_per_s"] = round(float64(records)/span, 0)
		res["mb_per_s"] = round(float64(bytes)/span/1e6, 2)
	}
	return printJSON(res)
}
