package concurrent

import (
	"cmp"
	"fmt"
	"slices"
)

// graph has transactions as nodes, and after them moments of real time. Each return of a
// transaction has a moment, and each moment is before the next. A transaction that returned
// comes before its moment, and every transaction that was called later comes after it. So
// there are as many edges of real time as transactions, and not their square.
type graph struct {
	txns []Txn
	out  [][]edge
}

type edge struct {
	from, to int
	why      string
}

// add adds an edge, unless it would lead from a transaction to itself.
func (g *graph) add(from, to int, kind, format string, args ...any) {
	if from != to {
		g.out[from] = append(g.out[from], edge{from, to, kind + ": " + fmt.Sprintf(format, args...)})
	}
}

func (g *graph) name(node int) string {
	if node < len(g.txns) {
		return g.txns[node].Name
	}
	return "a moment"
}

// addRealTime adds the order of returns and calls of the transactions that happened.
func (g *graph) addRealTime(happened func(i int) bool) {
	type point struct {
		tick int64
		ret  bool
		txn  int
	}
	var points []point
	for i := range g.txns {
		if !happened(i) {
			continue
		}
		if g.txns[i].Call != past {
			points = append(points, point{g.txns[i].Call, false, i})
		}
		if g.txns[i].Return != never {
			points = append(points, point{g.txns[i].Return, true, i})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return cmp.Compare(a.tick, b.tick) })
	moment := -1
	for _, p := range points {
		switch {
		case p.ret:
			g.out = append(g.out, nil)
			next := len(g.out) - 1
			g.add(p.txn, next, "rt", "it returned then")
			if moment >= 0 {
				g.add(moment, next, "rt", "time goes on")
			}
			moment = next
		case moment >= 0:
			g.add(moment, p.txn, "rt", "it was called later")
		}
	}
}

// cycle returns a shortest cycle through some transaction, or nil if there is none. It has
// no moments: its edges lead from transactions to transactions.
func (g *graph) cycle() []edge {
	for _, node := range g.cyclic() {
		if node < len(g.txns) {
			return g.withoutMoments(g.shortest(node))
		}
	}
	return nil
}

// cyclic returns the nodes of one cycle, or of several that are connected. It takes away
// nodes without incoming edges one after the other, and nodes without outgoing edges
// likewise. The rest is the result.
func (g *graph) cyclic() []int {
	n := len(g.out)
	into := make([][]int, n)
	in, out := make([]int, n), make([]int, n)
	for from := range g.out {
		out[from] = len(g.out[from])
		for _, e := range g.out[from] {
			into[e.to] = append(into[e.to], from)
			in[e.to]++
		}
	}
	gone := make([]bool, n)
	var sources, sinks []int
	for i := range n {
		if in[i] == 0 {
			sources = append(sources, i)
		}
		if out[i] == 0 {
			sinks = append(sinks, i)
		}
	}
	for len(sources) > 0 || len(sinks) > 0 {
		var i int
		if n := len(sources); n > 0 {
			i, sources = sources[n-1], sources[:n-1]
		} else {
			n := len(sinks)
			i, sinks = sinks[n-1], sinks[:n-1]
		}
		if gone[i] {
			continue
		}
		gone[i] = true
		for _, e := range g.out[i] {
			if in[e.to]--; in[e.to] == 0 {
				sources = append(sources, e.to)
			}
		}
		for _, from := range into[i] {
			if out[from]--; out[from] == 0 {
				sinks = append(sinks, from)
			}
		}
	}
	var left []int
	for i := range n {
		if !gone[i] {
			left = append(left, i)
		}
	}
	return left
}

// shortest returns a shortest way from a node back to itself. There is none if the node
// only connects cycles. Then it returns the way of a node that the node leads to.
func (g *graph) shortest(start int) []edge {
	for tried := map[int]bool{}; !tried[start]; {
		tried[start] = true
		by := map[int]edge{} // how a node was reached first
		queue := []int{start}
		for len(queue) > 0 {
			node := queue[0]
			queue = queue[1:]
			for _, e := range g.out[node] {
				if _, ok := by[e.to]; ok {
					continue
				}
				by[e.to] = e
				if e.to == start {
					return wayTo(start, by)
				}
				queue = append(queue, e.to)
			}
		}
		for _, node := range g.cyclic() {
			if _, ok := by[node]; ok && !tried[node] {
				start = node
				break
			}
		}
	}
	return nil
}

func wayTo(end int, by map[int]edge) []edge {
	var way []edge
	for node := end; len(way) == 0 || node != end; node = way[len(way)-1].from {
		way = append(way, by[node])
	}
	slices.Reverse(way)
	return way
}

// withoutMoments joins the edges to and from moments of real time.
func (g *graph) withoutMoments(way []edge) []edge {
	for n := range way { // begin with a transaction
		if way[n].from < len(g.txns) {
			way = slices.Concat(way[n:], way[:n])
			break
		}
	}
	var joined []edge
	for _, e := range way {
		if e.from >= len(g.txns) {
			joined[len(joined)-1].to = e.to
			joined[len(joined)-1].why = "rt: it had returned before the other one was called"
			continue
		}
		joined = append(joined, e)
	}
	return joined
}
