package indexed
import ("testing";"time";"runtime";"fmt";"math/rand")
func TestSlowX(t *testing.T) {
	data, p, _ := samplePart(t)
	type r struct{bit int; d time.Duration; a uint64; err error}
	var worst []r
	try := func(bit int, flipped []byte) {
		var m0, m1 runtime.MemStats
		runtime.ReadMemStats(&m0)
		s := time.Now()
		_, err := decodePart(flipped, p)
		d := time.Since(s)
		runtime.ReadMemStats(&m1)
		a := m1.TotalAlloc-m0.TotalAlloc
		if d > 20*time.Millisecond || a > 4<<20 { worst = append(worst, r{bit,d,a,err}) }
	}
	eachBitFlipped(data, func(f []byte, bit int) { try(bit, f) })
	rnd := rand.New(rand.NewSource(1))
	for i := range 4000 {
		f := append([]byte(nil), data...)
		for range 1+rnd.Intn(4) { f[rnd.Intn(len(f))] = byte(rnd.Intn(256)) }
		try(-i, f)
	}
	for i, w := range worst { if i < 40 { fmt.Println(w.bit/8, w.bit%8, len(data), w.d, w.a>>20, w.err) } }
	fmt.Println(len(worst))
}
