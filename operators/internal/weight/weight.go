// Package weight estimates how much memory values of any type take.
package weight

import (
	"reflect"
	"unsafe"
)

// Estimator estimates the memory of values of one type: a value and what it refers to.
// Several goroutines may use it at once.
type Estimator[T any] struct {
	fixed int64            // of every value, by itself
	exact func(v *T) int64 // what is behind it, or nil
	walk  bool             // what is behind it takes reflection
}

// New looks at the type once. Of then costs nothing for values without references, a look
// at the length for strings and byte slices, and a walk for all others.
func New[T any]() *Estimator[T] {
	var zero T
	e := &Estimator[T]{fixed: int64(unsafe.Sizeof(zero))}
	switch any(&zero).(type) {
	case *string:
		e.exact = func(v *T) int64 { return int64(len(*any(v).(*string))) } //nolint:errcheck // T is string
	case *[]byte:
		e.exact = func(v *T) int64 { return int64(cap(*any(v).(*[]byte))) } //nolint:errcheck // T is []byte
	default:
		e.walk = refers(reflect.TypeFor[T](), maxDepth)
	}
	return e
}

// Flat says that all values have the same weight.
func (e *Estimator[T]) Flat() bool { return e.exact == nil && !e.walk }

// Walks says that each call of Of is a walk by reflection. So a few of many values should
// stand for all.
func (e *Estimator[T]) Walks() bool { return e.walk }

// Of returns about the bytes of a value. Parts deeper than maxDepth references, or after
// maxVisits parts, count as nothing; in an array, a slice or a map, they count as the
// average of the parts before them.
func (e *Estimator[T]) Of(v *T) int64 {
	switch {
	case e.exact != nil:
		return e.fixed + e.exact(v)
	case e.walk:
		w := walker{visits: maxVisits}
		return e.fixed + w.behind(reflect.ValueOf(v).Elem(), maxDepth)
	}
	return e.fixed
}

const (
	maxDepth  = 12
	maxVisits = 1024
)

// refers says whether values of the type may refer to memory outside them.
func refers(t reflect.Type, depth int) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.String, reflect.Slice, reflect.Map, reflect.Interface:
		return true
	case reflect.Array:
		return t.Len() > 0 && depth > 0 && refers(t.Elem(), depth-1)
	case reflect.Struct:
		for i := range t.NumField() {
			if depth > 0 && refers(t.Field(i).Type, depth-1) {
				return true
			}
		}
	}
	return false // channels and functions are not what a value holds
}

// walker is one walk through a value.
type walker struct{ visits int }

// behind returns the bytes that a value refers to, without the value's own.
func (w *walker) behind(v reflect.Value, depth int) int64 {
	if depth == 0 || w.visits <= 0 {
		return 0
	}
	w.visits--
	switch v.Kind() {
	case reflect.String:
		return int64(v.Len())
	case reflect.Pointer:
		if v.IsNil() {
			return 0
		}
		return int64(v.Type().Elem().Size()) + w.behind(v.Elem(), depth-1)
	case reflect.Interface:
		if v.IsNil() {
			return 0
		}
		return int64(v.Elem().Type().Size()) + w.behind(v.Elem(), depth-1)
	case reflect.Slice:
		return int64(v.Cap())*int64(v.Type().Elem().Size()) + w.elements(v, depth)
	case reflect.Array:
		return w.elements(v, depth)
	case reflect.Struct:
		var sum int64
		for i := range v.NumField() {
			if refers(v.Field(i).Type(), depth) {
				sum += w.behind(v.Field(i), depth-1)
			}
		}
		return sum
	case reflect.Map:
		return w.entries(v, depth)
	}
	return 0
}

func (w *walker) elements(v reflect.Value, depth int) int64 {
	if !refers(v.Type().Elem(), depth) {
		return 0
	}
	var sum int64
	for i := range v.Len() {
		if w.visits <= 0 {
			return sum / int64(max(i, 1)) * int64(v.Len())
		}
		sum += w.behind(v.Index(i), depth-1)
	}
	return sum
}

// mapOverhead is about what an entry of a map takes beside its key and its value.
const mapOverhead = 16

func (w *walker) entries(v reflect.Value, depth int) int64 {
	t := v.Type()
	own := int64(v.Len()) * int64(t.Key().Size()+t.Elem().Size()+mapOverhead)
	if !refers(t.Key(), depth) && !refers(t.Elem(), depth) {
		return own
	}
	var sum int64
	seen := 0
	for iter := v.MapRange(); iter.Next() && w.visits > 0; seen++ {
		sum += w.behind(iter.Key(), depth-1) + w.behind(iter.Value(), depth-1)
	}
	return own + sum/int64(max(seen, 1))*int64(v.Len())
}
