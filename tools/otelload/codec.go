package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// frame is one gRPC message as bytes. To send, it has data. On receipt, it always has size, and data only if keep is set.
type frame struct {
	data []byte
	keep bool
	size int
	buf  mem.Buffer // owner of data after a receipt with keep; release with free
}

func (f *frame) free() {
	if f.buf != nil {
		f.buf.Free()
		f.buf, f.data = nil, nil
	}
}

// rawCodec passes messages through untouched. It calls itself "proto", so peers see ordinary OTLP/gRPC.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("raw codec: cannot send %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(f.data)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("raw codec: cannot receive into %T", v)
	}
	f.size = data.Len()
	if f.keep && f.size > 0 {
		f.buf = data.MaterializeToBuffer(mem.DefaultBufferPool())
		f.data = f.buf.ReadOnlyData()
	}
	return nil
}

// gzipCompressor replaces gRPC's own gzip. sendAsIs: the bytes handed over are gzip already, so that the generator
// compresses each payload once, before the run.
type gzipCompressor struct {
	sendAsIs bool
	readers  sync.Pool
}

func registerGzip(sendAsIs bool) {
	encoding.RegisterCompressor(&gzipCompressor{sendAsIs: sendAsIs})
}

func (c *gzipCompressor) Name() string { return "gzip" }

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func (c *gzipCompressor) Compress(w io.Writer) (io.WriteCloser, error) {
	if c.sendAsIs {
		return nopCloser{w}, nil
	}
	return gzip.NewWriter(w), nil
}

// pooledReader returns its gzip reader to the pool at the end of the message.
type pooledReader struct {
	z    *gzip.Reader
	pool *sync.Pool
}

func (r *pooledReader) Read(p []byte) (int, error) {
	if r.z == nil {
		return 0, io.EOF
	}
	n, err := r.z.Read(p)
	if err == io.EOF {
		r.pool.Put(r.z)
		r.z = nil
	}
	return n, err
}

func (c *gzipCompressor) Decompress(r io.Reader) (io.Reader, error) {
	if z, ok := c.readers.Get().(*gzip.Reader); ok {
		if err := z.Reset(r); err != nil {
			c.readers.Put(z)
			return nil, err
		}
		return &pooledReader{z, &c.readers}, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	return &pooledReader{z, &c.readers}, nil
}

func gzipBytes(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

// writeFrame writes one request with its length before it, in 4 bytes, big-endian.
func writeFrame(w io.Writer, b []byte) error {
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(b)))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// countRecords counts log records, spans or data points in an export request by walking the protobuf framing only:
// request.1 (resource) / .2 (scope) / .2 (record). For metrics one level more: metric.{5,7,9,10,11} / .1 (data point).
func countRecords(sig string, b []byte) (int, error) {
	n := 0
	err := eachField(b, 1, func(resource []byte) error {
		return eachField(resource, 2, func(scope []byte) error {
			return eachField(scope, 2, func(record []byte) error {
				if sig != "metrics" {
					n++
					return nil
				}
				for _, kind := range []int{5, 7, 9, 10, 11} {
					if err := eachField(record, kind, func(data []byte) error {
						return eachField(data, 1, func([]byte) error { n++; return nil })
					}); err != nil {
						return err
					}
				}
				return nil
			})
		})
	})
	return n, err
}

var errProto = fmt.Errorf("malformed protobuf")

func eachField(b []byte, want int, f func([]byte) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return errProto
		}
		b = b[n:]
		switch tag & 7 {
		case 0:
			_, n := binary.Uvarint(b)
			if n <= 0 {
				return errProto
			}
			b = b[n:]
		case 1:
			if len(b) < 8 {
				return errProto
			}
			b = b[8:]
		case 5:
			if len(b) < 4 {
				return errProto
			}
			b = b[4:]
		case 2:
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return errProto
			}
			if int(tag>>3) == want {
				if err := f(b[n : n+int(size)]); err != nil {
					return err
				}
			}
			b = b[n+int(size):]
		default:
			return errProto
		}
	}
	return nil
}
