// Command otelload is a cheap OTLP/gRPC load generator and a cheap OTLP/gRPC sink.
//
//	otelload gen  [flags]   send pre-serialized export requests to an OTLP/gRPC server, or write them to a file
//	otelload sink [flags]   accept export requests, count them, print JSON when told to stop
//
// Both ends use a raw-bytes gRPC codec, so neither spends CPU on protobuf while a measurement runs. Both only ever use
// loopback addresses and stop by themselves.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"syscall"
)

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	var err error
	switch os.Args[1] {
	case "gen":
		err = runGen(os.Args[2:])
	case "sink":
		err = runSink(os.Args[2:])
	default:
		usage()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "otelload:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: otelload gen|sink [flags]   (-h after gen or sink lists the flags)")
	os.Exit(2)
}

// requireLoopback rejects every address that is not on this machine.
func requireLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %q: %w", addr, err)
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("address %q is not a loopback address", addr)
}

// usageNow returns this process's CPU seconds and peak resident MB.
func usageNow() (cpuSeconds, peakMB float64) {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0, 0
	}
	sec := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return sec(ru.Utime) + sec(ru.Stime), float64(ru.Maxrss) / 1024
}

func printJSON(v any) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func round(x float64, digits int) float64 {
	p := 1.0
	for range digits {
		p *= 10
	}
	return float64(int64(x*p+0.5)) / p
}
