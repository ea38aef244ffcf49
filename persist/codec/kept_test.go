package codec_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tidemark-go/tidemark/persist/codec"
)

// A kept value is written as it was read until it is changed, in whatever it is a part of.
func TestKeptValues(t *testing.T) {
	type order struct{ Item string }
	inner := codec.JSON[order]()
	c := codec.Keep(inner)
	require.Equal(t, inner.Name(), c.Name())

	const old = `{"Item":"pump","Gone":7}`
	read, err := c.Decode([]byte(old))
	require.NoError(t, err)
	require.Equal(t, order{"pump"}, read.Value)
	appended := func(v codec.Kept[order]) string {
		out, err := c.Append([]byte("before"), v)
		require.NoError(t, err)
		return string(out)
	}
	require.Equal(t, "before"+old, appended(read))
	changed := read
	changed.Value.Item = "hose"
	require.Equal(t, `before{"Item":"hose"}`, appended(changed))
	changed.Value.Item = "pump"
	require.Equal(t, "before"+old, appended(changed), "changed back")
	require.Equal(t, `before{"Item":"pump"}`, appended(codec.Kept[order]{Value: read.Value}))

	// What needs nothing kept is equal to a value that was made.
	same, err := c.Decode([]byte(`{"Item":"pump"}`))
	require.NoError(t, err)
	require.Equal(t, codec.Kept[order]{Value: order{"pump"}}, same)
	require.True(t, read != same && read.Value == same.Value)

	// Behind a pointer, a change is seen as well.
	pointers := codec.Keep(codec.JSON[*order]())
	pointer, err := pointers.Decode([]byte(old))
	require.NoError(t, err)
	pointer.Value.Item = "hose"
	out, err := pointers.Append(nil, pointer)
	require.NoError(t, err)
	require.True(t, bytes.Equal([]byte(`{"Item":"hose"}`), out), "%s", out)

	// As a part of another.
	pair := codec.Pair(codec.Keep(codec.Uint32), codec.Option(c))
	require.Equal(t, codec.Pair(codec.Uint32, codec.Option(inner)).Name(), pair.Name())
	encoded := "\x00\x00\x00\x07\x01" + old
	tuple, err := pair.Decode([]byte(encoded))
	require.NoError(t, err)
	out, err = pair.Append(nil, tuple)
	require.NoError(t, err)
	require.Equal(t, encoded, string(out))

	// Damage is damage.
	_, err = c.Decode([]byte(`{"Item":`))
	require.ErrorIs(t, err, codec.ErrDecode)
	_, err = codec.Keep(codec.String).Decode([]byte("\xff"))
	require.ErrorIs(t, err, codec.ErrDecode)
	out, err = codec.Keep(codec.String).Append([]byte("before"), codec.Kept[string]{Value: "\xff"})
	require.ErrorIs(t, err, codec.ErrEncode)
	require.Equal(t, "before", string(out))
}

// What Keep is made of is checked as the parts of a composite are: it compares what is
// behind dst, and reads into memory that it uses again.
func TestKeptOfCodecsThatDoNotAppend(t *testing.T) {
	kept, err := codec.Keep(fromUpper(codec.String.Append)).Decode([]byte("OLD"))
	require.NoError(t, err)
	for name, appendTo := range wrongAppends {
		bad := codec.Keep(fromUpper(appendTo))
		for _, v := range []codec.Kept[string]{kept, {Value: "new"}} {
			_, err := bad.Append([]byte("something that is longer"), v)
			require.ErrorIs(t, err, codec.ErrEncode, name)
			require.ErrorContains(t, err, "does not append", name)
		}
		_, err = bad.Decode([]byte("OLD"))
		require.ErrorContains(t, err, "does not append", name)
	}
}

// fromUpper returns a codec that reads upper case as lower case.
func fromUpper(appendTo func([]byte, string) ([]byte, error)) codec.Codec[string] {
	return codec.Func("lower", appendTo, func(src []byte) (string, error) { return strings.ToLower(string(src)), nil })
}

// Bytes that stand for a value and are not how it is written.
func TestDecodeRefusesWhatWouldBeWrittenOtherwise(t *testing.T) {
	rewritten := func(t *testing.T, err error) {
		require.ErrorIs(t, err, codec.ErrDecode)
		require.ErrorContains(t, err, "codec.Keep")
	}
	for _, text := range []string{
		` {"weight":0}`, `{"name":"a" }`, `{"other":1}`, `{}`, `{"NAME":"a"}`, `{"name":"a","name":"b"}`, `{"name":"\u0061"}`, `null`,
	} {
		_, err := codec.JSON[record]().Decode([]byte(text))
		rewritten(t, err)
		kept, err := codec.Keep(codec.JSON[record]()).Decode([]byte(text))
		require.NoError(t, err)
		out, err := codec.Keep(codec.JSON[record]()).Append(nil, kept)
		require.NoError(t, err)
		require.Equal(t, text, string(out))
	}
	for _, text := range []string{"1 ", `{"b":1,"a":2}`, `"<"`} {
		_, err := codec.JSON[any]().Decode([]byte(text))
		rewritten(t, err)
	}
	_, err := codec.JSON[any]().Decode([]byte("1 2"))
	require.ErrorContains(t, err, "after top-level value")

	duration := codec.Proto[*durationpb.Duration]()
	const swapped = "\x10\x02\x08\x01" // nanos before seconds
	_, err = duration.Decode([]byte(swapped))
	rewritten(t, err)
	const unknown = "\x08\x01\x10\x02\x18\x03" // a field that a newer schema has
	_, err = duration.Decode([]byte(unknown))
	require.NoError(t, err)
	kept, err := codec.Keep(duration).Decode([]byte(swapped))
	require.NoError(t, err)
	require.Equal(t, int64(1), kept.Value.GetSeconds())
	out, err := codec.Keep(duration).Append(nil, kept)
	require.NoError(t, err)
	require.Equal(t, swapped, string(out))
	kept.Value.Seconds = 5
	out, err = codec.Keep(duration).Append(nil, kept)
	require.NoError(t, err)
	require.Equal(t, "\x08\x05\x10\x02", string(out))
	_, err = codec.Keep(codec.Proto[*structpb.Struct]()).Decode([]byte("\xff"))
	require.ErrorIs(t, err, codec.ErrDecode)
}

// A version with a field more reads what was written without it, and retracts it.
func ExampleKeep() {
	type Order struct {
		Item  string
		Count int // new
	}
	row := []byte(`{"Item":"pump"}`)
	_, err := codec.JSON[Order]().Decode(row)
	fmt.Println(err != nil)

	orders := codec.Keep(codec.JSON[Order]())
	read, _ := orders.Decode(row)
	retract, _ := orders.Append(nil, read)
	write, _ := orders.Append(nil, codec.Kept[Order]{Value: read.Value})
	fmt.Printf("%+v %s %s\n", read.Value, retract, write)
	// Output:
	// true
	// {Item:pump Count:0} {"Item":"pump"} {"Item":"pump","Count":0}
}
