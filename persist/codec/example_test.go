package codec_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"github.com/tidemark-go/tidemark/persist/codec"
)

// anyCodec is an interface as another package would declare it.
type anyCodec[T any] interface {
	Name() string
	Append(dst []byte, v T) ([]byte, error)
	Decode(src []byte) (T, error)
}

func names[K, V any](kc anyCodec[K], vc anyCodec[V]) string {
	return fmt.Sprintf("%T as %s, %T as %s", *new(K), kc.Name(), *new(V), vc.Name())
}

// The types of keys and values follow from the codecs.
func Example() {
	fmt.Println(names(codec.String, codec.Unit))
	fmt.Println(names(codec.Uint64, codec.JSON[map[string]int]()))
	// Output:
	// string as string, struct {} as unit
	// uint64 as uint64, map[string]int as json(map[string]int)
}

// Bytes of integers and times sort as the values do.
func Example_order() {
	before, _ := codec.Int64.Append(nil, -1)
	after, _ := codec.Int64.Append(nil, 1)
	fmt.Println(bytes.Compare(before, after))
	// Output: -1
}

// A key of a sensor's name and a reading's time: all readings of a sensor lie
// together, in order of time.
func ExamplePair() {
	reading := codec.Pair(codec.String, codec.Time)
	key, err := reading.Append(nil, codec.Tuple[string, time.Time]{
		First:  "basin 7",
		Second: time.Date(2018, 2, 1, 12, 0, 0, 0, time.UTC),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	back, err := reading.Decode(key)
	fmt.Println(reading.Name(), len(key), "bytes:", back.First, back.Second.Format(time.RFC3339), err)
	// Output: pair(string,time) 21 bytes: basin 7 2018-02-01T12:00:00Z <nil>
}

func ExampleJSON() {
	type Order struct {
		Item  string
		Count int
	}
	orders := codec.JSON[Order]()
	encoded, _ := orders.Append(nil, Order{Item: "pump", Count: 2})
	fmt.Printf("%s %s\n", orders.Name(), encoded)

	_, err := orders.Decode([]byte(`{"Item":`))
	fmt.Println(err)
	// Output:
	// json(Order) {"Item":"pump","Count":2}
	// codec: cannot decode json(Order): unexpected end of JSON input
}

// Errors are values: keep what could not be computed beside what could.
func ExampleResult() {
	depth := codec.Result(codec.Float64, codec.String)
	for _, v := range []codec.Outcome[float64, string]{
		codec.OK[string](12.5),
		codec.Failure[float64]("no depth given"),
	} {
		encoded, _ := depth.Append(nil, v)
		back, _ := depth.Decode(encoded)
		fmt.Printf("%v %q %v\n", back.Value, back.Err, back.Failed)
	}
	// Output:
	// 12.5 "" false
	// 0 "no depth given" true
}

// A codec of one's own. netip.Addr sorts by family first, and so do these bytes.
func ExampleFunc() {
	addr := codec.Func("ip",
		func(dst []byte, v netip.Addr) ([]byte, error) {
			if !v.IsValid() || v.Zone() != "" {
				return dst, fmt.Errorf("%v is no plain address", v)
			}
			return append(append(dst, byte(v.BitLen()/8)), v.AsSlice()...), nil
		},
		func(src []byte) (netip.Addr, error) {
			if len(src) == 0 || int(src[0]) != len(src)-1 {
				return netip.Addr{}, fmt.Errorf("want a length and that many bytes, got %d bytes", len(src))
			}
			v, ok := netip.AddrFromSlice(src[1:])
			if !ok {
				return netip.Addr{}, fmt.Errorf("no address has %d bytes", src[0])
			}
			return v, nil
		})
	encoded, err := addr.Append(nil, netip.MustParseAddr("192.0.2.1"))
	fmt.Printf("%x %v\n", encoded, err)
	_, err = addr.Decode([]byte{4, 192})
	fmt.Println(err)
	// Output:
	// 04c0000201 <nil>
	// codec: cannot decode ip: want a length and that many bytes, got 2 bytes
}
